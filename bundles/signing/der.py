"""ECDSA signatures as DER, exactly (X.690 10, RFC 3279 2.2.3: SEQUENCE of two INTEGERs). Pure.

A reader that takes BER, padded integers or trailing bytes gives one signature many spellings. What remains malleable in
ECDSA itself is the sign of s: (r, n - s) is as valid as (r, s). cosign, OpenSSL and Go make and take both, so we take
both as well and say which one it is (`EcdsaSignature.high_s`); we write the low one.
"""

from dataclasses import dataclass
from typing import Final

from bundles.errors import FormatError

P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-5, SP 800-186
_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_MAX_INTEGER: Final = 33  # bytes: 32, and a zero before a set first bit


@dataclass(frozen=True, slots=True)
class EcdsaSignature:
    """r and s, both in 1..n-1 of P-256."""

    r: int
    s: int

    @property
    def high_s(self) -> bool:
        """Whether s is the larger of the two that would be valid."""
        return self.s > P256_ORDER // 2

    @property
    def low(self) -> "EcdsaSignature":
        """The same signature with the lower s."""
        return EcdsaSignature(self.r, P256_ORDER - self.s) if self.high_s else self

    def encode(self) -> bytes:
        """DER."""
        body = b"".join(bytes([_INTEGER, len(one)]) + one for one in map(_unsigned, (self.r, self.s)))
        return bytes([_SEQUENCE, len(body)]) + body


def _unsigned(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1)


def parse_ecdsa(data: bytes, *, where: object) -> EcdsaSignature:
    """DER -> (r, s); raises FormatError for every other spelling and for values out of range."""
    # Two integers of at most 33 bytes: every length is one byte, the long form would be a second spelling.
    if len(data) < 8 or data[0] != _SEQUENCE or data[1] != len(data) - 2:
        raise FormatError("not an ECDSA signature in DER", where=where, got=f"{len(data)} bytes")
    r, rest = _integer(data[2:], where)
    s, rest = _integer(rest, where)
    if rest:
        raise FormatError("bytes after an ECDSA signature", where=where, got=f"{len(rest)} bytes")
    for name, value in (("r", r), ("s", s)):
        if not 0 < value < P256_ORDER:
            raise FormatError(f"an ECDSA signature whose {name} is out of range", where=where, want="1..n-1")
    return EcdsaSignature(r, s)


def _integer(data: bytes, where: object) -> tuple[int, bytes]:
    if len(data) < 3 or data[0] != _INTEGER or not 0 < data[1] <= _MAX_INTEGER or len(data) < 2 + data[1]:
        raise FormatError("not an ECDSA signature in DER", where=where, want="two integers of at most 33 bytes")
    body, rest = data[2 : 2 + data[1]], data[2 + data[1] :]
    padded = len(body) > 1 and body[0] == 0 and body[1] < 0x80
    if padded or body[0] >= 0x80:
        raise FormatError("an ECDSA signature with a padded or negative integer", where=where)
    return int.from_bytes(body), rest
