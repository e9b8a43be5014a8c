"""NaCl's secretbox (XSalsa20-Poly1305), which cosign encrypts its key files with. Pure.

Salsa20 is D. J. Bernstein's "The Salsa20 family of stream ciphers", XSalsa20 his "Extending the Salsa20 nonce"; the
box's form is NaCl's crypto_secretbox. The Poly1305 is the cryptography library's. A key file has some 200 bytes: speed
does not matter here, and what a timing could tell is behind a passphrase on the owner's own machine.
"""

import struct
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

from bundles.errors import FormatError

KEY: Final = 32  # bytes
NONCE: Final = 24
_TAG: Final = 16
_WORD: Final = 0xFFFFFFFF
_SIGMA: Final = struct.unpack("<4I", b"expand 32-byte k")
_COLUMNS: Final = ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11))
_ROWS: Final = ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14))


def seal(plain: bytes, key: bytes, nonce: bytes) -> bytes:
    """Encrypts; the tag comes first. `key` 32 bytes, `nonce` 24 bytes never used before with this key."""
    mac, stream = _streams(key, nonce, len(plain))
    body = bytes(a ^ b for a, b in zip(plain, stream, strict=True))
    return Poly1305.generate_tag(mac, body) + body


def unseal(box: bytes, key: bytes, nonce: bytes) -> bytes:
    """The plain bytes; raises FormatError when the tag does not hold: wrong key, or changed."""
    tag, body = box[:_TAG], box[_TAG:]
    mac, stream = _streams(key, nonce, len(body))
    try:
        Poly1305.verify_tag(mac, body, tag)
    except InvalidSignature as exc:
        raise FormatError("wrong passphrase, or a damaged key file") from exc
    return bytes(a ^ b for a, b in zip(body, stream, strict=True))


def _streams(key: bytes, nonce: bytes, size: int) -> tuple[bytes, bytes]:
    """Poly1305's key, which is the stream's first 32 bytes, and `size` bytes after them."""
    mixed = _rounds(_state(key, struct.unpack("<4I", nonce[:16])))
    subkey = struct.pack("<8I", *(mixed[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))
    words = struct.unpack("<2I", nonce[16:])
    blocks = [_block(subkey, (*words, counter, 0)) for counter in range((32 + size + 63) // 64)]
    stream = b"".join(blocks)
    return stream[:32], stream[32 : 32 + size]


def _block(key: bytes, words: tuple[int, int, int, int]) -> bytes:
    state = _state(key, words)
    mixed = _rounds(state)
    return struct.pack("<16I", *((a + b) & _WORD for a, b in zip(mixed, state, strict=True)))


def _state(key: bytes, words: tuple[int, ...]) -> list[int]:
    k = struct.unpack("<8I", key)
    s = _SIGMA
    return [s[0], *k[:4], s[1], *words, s[2], *k[4:], s[3]]


def _rounds(state: list[int]) -> list[int]:
    x = list(state)
    for _ in range(10):
        for a, b, c, d in (*_COLUMNS, *_ROWS):
            for target, one, two, shift in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
                total = (x[one] + x[two]) & _WORD
                x[target] ^= (total << shift | total >> (32 - shift)) & _WORD
    return x
