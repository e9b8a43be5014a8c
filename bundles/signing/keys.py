"""Keys: ECDSA on P-256 with SHA-256, and Ed25519. No other kind: what cosign, OpenSSL and we agree on, byte for byte.

A key's id is the sha256 of its SubjectPublicKeyInfo in DER (RFC 5280 4.1.2.7); sigstore bundles name a key by the same,
in base64 (`hint`).
"""

from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from bundles.digest import Digest
from bundles.errors import FormatError, TrustError
from bundles.signing.base64text import encode_base64
from bundles.signing.der import parse_ecdsa
from bundles.signing.pem import Block, read_blocks, write_block

Algorithm = Literal["ecdsa-p256", "ed25519"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("ecdsa-p256", "ed25519")
KNOWN: Final = "ECDSA P-256 or Ed25519"
PUBLIC_LABEL: Final = "PUBLIC KEY"
# What the library raises for bytes that are no key; the last: what OpenSSL alone can name.
UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, InternalError)
_SHORT: Final = 16  # hex digits of an id that file names carry
_ED25519_SIGNATURE: Final = 64
_ED25519_P: Final = 2**255 - 19
# y of the eight points of small order (RFC 8032 curve; 0, 1, -1, and the two of order 8). For such a "key" a signature
# that holds for every message is a few lines of arithmetic, and OpenSSL accepts it.
_Y8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER: Final = frozenset({0, 1, _ED25519_P - 1, _Y8, _ED25519_P - _Y8})

_Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: its kind, and `spki`, its SubjectPublicKeyInfo in DER."""

    algorithm: Algorithm
    spki: bytes
    _key: _Public = field(repr=False, compare=False)

    @property
    def id(self) -> Digest:
        """sha256 of `spki`."""
        return Digest.of(self.spki)

    @property
    def short(self) -> str:
        """The first 16 hex digits of the id: what file names carry."""
        return self.id.hex[:_SHORT]

    @property
    def hint(self) -> str:
        """The id as sigstore bundles spell it (base64)."""
        return encode_base64(bytes.fromhex(self.id.hex))

    @property
    def pem(self) -> bytes:
        """The PEM file that cosign and openssl read."""
        return write_block(PUBLIC_LABEL, self.spki)

    def check_form(self, signature: bytes, *, where: object) -> bool:
        """Whether ECDSA's s is the high one; raises FormatError for bytes that can be no signature of this kind."""
        if self.algorithm == "ecdsa-p256":
            return parse_ecdsa(signature, where=where).high_s
        if len(signature) != _ED25519_SIGNATURE:
            raise FormatError("not an Ed25519 signature", where=where, got=f"{len(signature)} bytes", want="64 bytes")
        return False

    def verify(self, signature: bytes, message: bytes, *, where: object) -> bool:
        """Raises TrustError unless `signature` (DER for ECDSA) is this key's over `message`; returns `check_form`."""
        try:
            high_s = self.check_form(signature, where=where)
            if isinstance(self._key, ec.EllipticCurvePublicKey):
                self._key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            else:
                self._key.verify(signature, message)
        except FormatError as exc:
            raise TrustError(exc.message, where=exc.where, got=exc.got, want=exc.want) from exc
        except InvalidSignature as exc:
            hint = "what was signed or the signature was changed, or the signature is of something else"
            raise TrustError("the signature does not hold", where=where, want=f"key {self.id}", hint=hint) from exc
        return high_s


class Signer(Protocol):
    """Whatever signs: a key in memory, or a program that reaches one."""

    @property
    def public(self) -> PublicKey:
        """The key that its signatures verify with."""

    def sign(self, message: bytes) -> bytes:
        """The signature over `message` (bytes): DER for ECDSA, 64 bytes for Ed25519."""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key in memory; never shown by `repr`. The same message gives the same signature (RFC 6979, 8032)."""

    public: PublicKey
    _key: _Private = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """See Signer."""
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            made = self._key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
            return parse_ecdsa(made, where=self.public.id).low.encode()
        return self._key.sign(message)

    def pkcs8(self) -> bytes:
        """PKCS#8 in DER, not encrypted: for a key file's cipher, and for nothing else."""
        return self._key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def generate(algorithm: Algorithm) -> PrivateKey:
    """A new key from the system's randomness."""
    made: _Private = (
        ed25519.Ed25519PrivateKey.generate() if algorithm == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    )
    return private_key(made, where="a new key")


def read_public_key(data: bytes, *, where: object) -> PublicKey:
    """A PEM file of one SubjectPublicKeyInfo -> PublicKey.

    Raises FormatError for everything else: private keys, RSA, other curves, points of small order, other spellings.
    """
    blocks = read_blocks(data, where=where)
    labels = [block.label for block in blocks]
    if labels != [PUBLIC_LABEL]:
        hint = "this is the private half: give the .pub file" if any("PRIVATE" in label for label in labels) else ""
        raise FormatError("not one public key", where=where, got=", ".join(labels), want=PUBLIC_LABEL, hint=hint)
    return decode_public_key(blocks[0], where=where)


def decode_public_key(block: Block, *, where: object) -> PublicKey:
    """A SubjectPublicKeyInfo -> PublicKey; raises FormatError as `read_public_key`."""
    try:
        key = serialization.load_der_public_key(block.data)
    except UNREADABLE as exc:
        raise FormatError("not a public key that can be read", where=where, want=KNOWN) from exc
    public = _public_key(key, where)
    # Compressed points and explicit curves are the same key under another id: one spelling alone is taken.
    if public.spki != block.data:
        hint = "write it again with `openssl pkey -pubin -in OLD -pubout -ec_conv_form uncompressed`"
        raise FormatError(
            "a public key in an unusual encoding", where=where, want="named curve, whole point", hint=hint
        )
    return public


def private_key(key: object, *, where: object) -> PrivateKey:
    """A private key of the cryptography library -> PrivateKey; raises FormatError for other kinds and curves."""
    if isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return PrivateKey(_public_key(key.public_key(), where), key)
    raise _wrong_kind(key, where)


def _public_key(key: object, where: object) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, ec.SECP256R1):
            raise FormatError("a key on another curve", where=where, got=key.curve.name, want=KNOWN, hint=_HINT)
        return PublicKey("ecdsa-p256", _spki(key), key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        y = int.from_bytes(raw, "little") & ~(1 << 255)
        if y >= _ED25519_P or y in _SMALL_ORDER:
            raise FormatError("an Ed25519 key that anybody can sign with", where=where, got=raw.hex())
        return PublicKey("ed25519", _spki(key), key)
    raise _wrong_kind(key, where)


_HINT: Final = "make a key with `sealift keygen` or `cosign generate-key-pair`"


def _wrong_kind(key: object, where: object) -> FormatError:
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        got = f"RSA with {key.key_size} bits"
    elif isinstance(key, dsa.DSAPublicKey | dsa.DSAPrivateKey):
        got = "DSA"
    else:
        got = type(key).__name__.lstrip("_")
    return FormatError("a key of a kind that is not taken", where=where, got=got, want=KNOWN, hint=_HINT)


def _spki(key: _Public) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
