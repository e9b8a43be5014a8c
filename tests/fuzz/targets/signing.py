"""What is read before anybody is trusted: keys, signature files, statements, signatures of images."""

import json
from typing import Final

from bundles.digest import Digest
from bundles.signing import blob, dsse, envelope, images, keyfile, statement
from bundles.signing.base64text import encode_base64
from bundles.signing.der import parse_ecdsa
from bundles.signing.keys import PrivateKey, read_public_key
from bundles.signing.pem import write_block
from bundles.signing.signed import holding
from tests.fuzz import modes
from tests.fuzz.model import Target, taken

# RFC 6979 A.2.5: a key that everybody knows.
_SEC1: Final = bytes.fromhex(
    "30310201010420c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721a00a06082a8648ce3d030107"
)
_MESSAGE: Final = b"message"
_IMAGE: Final = Digest.of(b"image")


def _no_passphrase() -> bytes:
    return b""


def _key() -> PrivateKey:
    return keyfile.read_private_key(write_block("EC PRIVATE KEY", _SEC1), _no_passphrase, where="rfc")


KEY: Final = _key()


def _public(data: bytes) -> bool:
    found = taken(lambda: read_public_key(data, where="input"))
    if found is not None:
        assert read_public_key(found.pem, where="written") == found
    return found is not None


def _private(data: bytes) -> bool:
    if b"ENCRYPTED" in data:  # the passphrase's scrypt would be all that is measured
        return False
    return taken(lambda: keyfile.read_private_key(data, _no_passphrase, where="input")) is not None


def _der(data: bytes) -> bool:
    """One signature has one spelling."""
    found = taken(lambda: parse_ecdsa(data, where="input"))
    if found is not None:
        assert found.encode() == data
    return found is not None


def _envelope(data: bytes) -> bool:
    """A sigstore bundle holds only with the one signature that the key makes, whatever else stands there."""
    found = taken(lambda: holding(_MESSAGE, {"bundle.json.sigstore.json": data}, [KEY.public], where="input"))
    if found:
        assert parse_ecdsa(envelope.read_message(data, where="input").signature, where="input").r == _R
    return found is not None


def _classic(data: bytes) -> bool:
    found = taken(lambda: holding(_MESSAGE, {"bundle.json.sig": data}, [KEY.public], where="input"))
    if found:
        assert parse_ecdsa(blob.read_sig(data, where="input"), where="input").r == _R
    return found is not None


def _statement(data: bytes) -> bool:
    payload = taken(lambda: dsse.verify(data, KEY.public, where="input"))
    assert payload in (None, _PAYLOAD)
    return payload is not None


def _payload(data: bytes) -> bool:
    found = taken(lambda: statement.decode(data, where="input"))
    return found is not None


def _image(data: bytes) -> bool:
    """A manifest that points anywhere, and blobs that are anything."""
    for_tag = taken(lambda: images.from_tag(data, _IMAGE, [KEY.public], lambda d, n: data[:n], where="input"))
    taken(lambda: images.from_referrer(data, _IMAGE, [KEY.public], lambda d, n: data[:n], where="input"))
    taken(lambda: images.referrer_manifests(data, where="input"))
    assert not for_tag
    return for_tag is not None


_SIGNATURE: Final = KEY.sign(_MESSAGE)
_R: Final = parse_ecdsa(_SIGNATURE, where="ours").r
_PAYLOAD: Final = statement.encode(
    statement.Statement(
        subjects=(statement.Subject(name="x", digest=_IMAGE),), predicate_type=images.SIGN_PREDICATE, predicate={}
    )
)
READERS: Final[dict[str, modes.Reader]] = {
    "public": _public,
    "private": _private,
    "der": _der,
    "envelope": _envelope,
    "classic": _classic,
    "statement": _statement,
    "payload": _payload,
    "image": _image,
}


def _examples() -> dict[str, list[bytes]]:
    layer = {"mediaType": images.SIMPLE_SIGNING, "digest": str(_IMAGE), "size": 9}
    annotated = layer | {"annotations": {"dev.cosignproject.cosign/signature": encode_base64(_SIGNATURE)}}
    index = {"manifests": [{"mediaType": "m", "digest": str(_IMAGE), "artifactType": envelope.MEDIA_TYPE}]}
    return {
        "public": [KEY.public.pem],
        "private": [write_block("EC PRIVATE KEY", _SEC1), write_block("PRIVATE KEY", KEY.pkcs8())],
        "der": [_SIGNATURE],
        "envelope": [envelope.write_message(KEY.public, Digest.of(_MESSAGE), _SIGNATURE)],
        "classic": [blob.write_sig(_SIGNATURE)],
        "statement": [dsse.sign(KEY, _PAYLOAD)],
        "payload": [_PAYLOAD],
        "image": [json.dumps(one).encode() for one in ({"layers": [annotated], "subject": layer}, index)],
    }


TARGET: Final = Target(read=modes.by_first_byte(READERS), seeds=lambda: modes.seeds(READERS, _examples()), least=200)
