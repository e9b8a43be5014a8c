"""Sigstore bundles, version 0.3, with a public key (protobuf-specs: sigstore_bundle.proto, in its JSON form). Pure.

One file: which key, and either a signature over a file's bytes (`messageSignature`) or a signed statement
(`dsseEnvelope`). Strict: unknown fields, other versions, certificates and other spellings are refused; cosign's
reader, protojson, refuses unknown fields too. Entries of a transparency log may stand in it and are not looked at.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.signing.base64text import decode_base64, encode_base64

if TYPE_CHECKING:
    from bundles.signing.keys import PublicKey  # loads the cryptography library, which a look at a bundle need not

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_MESSAGE: Final = 64 << 10  # bytes of a bundle with a signature: 400 without log entries, some 5 000 with one
MAX_STATEMENT: Final = 64 << 20  # bytes of a bundle with a statement: an SBOM in base64
_SHA256: Final = "SHA2_256"
_MAX_SIGNATURE: Final = 512  # bytes


class _Hash(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    # cosign 3 leaves both out for Ed25519, which hashes by itself.
    algorithm: str = ""
    digest: str = ""


class _Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    messageDigest: _Hash
    signature: str


class _Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sig: str
    keyid: str = ""


class _Dsse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    payload: str
    payloadType: str
    signatures: list[_Signature]


class _Hint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hint: str


class _Material(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    publicKey: _Hint | None = None
    certificate: Any = None
    x509CertificateChain: Any = None
    tlogEntries: list[Any] = []
    timestampVerificationData: Any = None


class _Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mediaType: str
    verificationMaterial: _Material
    messageSignature: _Message | None = None
    dsseEnvelope: _Dsse | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedMessage:
    """A signature over a file's bytes. `claimed` is what the signer says their digest is, if it says: never a proof."""

    hint: str
    claimed: Digest | None
    signature: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedStatement:
    """A DSSE envelope: `payload` of type `payload_type` (not to be read before its signature holds)."""

    hint: str
    payload_type: str
    payload: bytes
    signature: bytes


def write_message(key: "PublicKey", message_digest: Digest, signature: bytes) -> bytes:
    """The bundle of a signature over bytes with this digest; canonical JSON."""
    return _write(
        key,
        messageSignature={
            "messageDigest": {"algorithm": _SHA256, "digest": encode_base64(bytes.fromhex(message_digest.hex))},
            "signature": encode_base64(signature),
        },
    )


def write_statement(key: "PublicKey", payload_type: str, payload: bytes, signature: bytes) -> bytes:
    """The bundle of a DSSE envelope with one signature; canonical JSON."""
    return _write(
        key,
        dsseEnvelope={
            "payload": encode_base64(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": encode_base64(signature)}],
        },
    )


def _write(key: "PublicKey", **content: Any) -> bytes:
    document = {"mediaType": MEDIA_TYPE, "verificationMaterial": {"publicKey": {"hint": key.hint}}}
    return jsontext.encode_canonical(document | content)


def read_message(data: bytes, *, where: object) -> SignedMessage:
    """A bundle of a signature over a file; raises FormatError for anything else."""
    bundle = _read(data, MAX_MESSAGE, where)
    message = bundle.messageSignature
    if message is None:
        raise FormatError("a signed statement where a signature is wanted", where=where)
    claimed = _claimed(message.messageDigest, where)
    return SignedMessage(hint=_hint(bundle, where), claimed=claimed, signature=_signature(message.signature, where))


def read_statement(data: bytes, *, where: object, max_size: int = MAX_STATEMENT) -> SignedStatement:
    """A bundle of a DSSE envelope with one signature; raises FormatError for anything else."""
    bundle = _read(data, max_size, where)
    envelope = bundle.dsseEnvelope
    if envelope is None:
        raise FormatError("a signature where a signed statement is wanted", where=where)
    # sigstore_bundle.proto: "the number of signatures in the envelope MUST be one": whose hint would it be otherwise?
    if len(envelope.signatures) != 1:
        raise FormatError("not one signature", where=where, got=len(envelope.signatures))
    return SignedStatement(
        hint=_hint(bundle, where),
        payload_type=envelope.payloadType,
        payload=decode_base64(envelope.payload, where=where),
        signature=_signature(envelope.signatures[0].sig, where),
    )


def _read(data: bytes, max_size: int, where: object) -> _Bundle:
    bundle = jsontext.decode(data, _Bundle, where=where, max_size=max_size)
    if bundle.mediaType != MEDIA_TYPE:
        raise FormatError("not a sigstore bundle of version 0.3", where=where, got=bundle.mediaType[:80])
    if (bundle.messageSignature is None) == (bundle.dsseEnvelope is None):
        raise FormatError("not one signature or statement", where=where)
    return bundle


def _hint(bundle: _Bundle, where: object) -> str:
    material = bundle.verificationMaterial
    if material.certificate is not None or material.x509CertificateChain is not None:
        hint = "check it with the cosign program"
        raise FormatError("a keyless signature: its certificate is not checked here", where=where, hint=hint)
    if material.publicKey is None:
        raise FormatError("a bundle that names no key", where=where)
    return material.publicKey.hint


def _claimed(said: _Hash, where: object) -> Digest | None:
    if said == _Hash():
        return None
    if said.algorithm != _SHA256:
        raise FormatError("another hash than sha256", where=where, got=said.algorithm[:40])
    return Digest(decode_base64(said.digest, where=where).hex())


def _signature(text: str, where: object) -> bytes:
    signature = decode_base64(text, where=where)
    if len(signature) > _MAX_SIGNATURE:
        raise FormatError("not a signature", where=where, got=f"{len(signature)} bytes", want=f"<= {_MAX_SIGNATURE}")
    return signature
