"""What decides whom a node trusts: policies, signatures, keys, statements. Nothing that was mutated may hold."""

import json
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from bundles.digest import Digest
from bundles.errors import UsageError
from bundles.policy import model
from bundles.signing import blob, der, dsse, envelope, images, statement
from bundles.signing.keyfile import read_private_key, write_private_key
from bundles.signing.keys import private_key, read_public_key
from bundles.signing.pem import write_block
from bundles.signing.signed import holding
from tests.fuzz import modes
from tests.fuzz.model import Target, taken

_ECDSA: Final = private_key(ec.derive_private_key(7, ec.SECP256R1()), where="fuzz")
_EDWARDS: Final = private_key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))), where="fuzz")
_KEYS: Final = (_ECDSA, _EDWARDS)
_PUBLIC: Final = tuple(key.public for key in _KEYS)
_MESSAGE, _OTHER = b"the index", b"another index"
_IMAGE, _OTHER_IMAGE = Digest.of(b"image"), Digest.of(b"another image")


def _policy(data: bytes) -> bool:
    found = taken(model.parse, data, where="policy.json")
    if found is not None:
        assert model.parse(data, where="policy.json") == found
        found.told(frozenset(found.keys)).encode()
    return found is not None


def _signature(name: str) -> modes.Reader:
    def read(data: bytes) -> bool:
        assert not taken(holding, _OTHER, {name: data}, _PUBLIC, where="bundle"), "a signature of other bytes holds"
        return bool(taken(holding, _MESSAGE, {name: data}, _PUBLIC, where="bundle"))

    return read


def _statement(data: bytes) -> bool:
    found = taken(envelope.read_statement, data, where="input")
    for key in _PUBLIC:
        payload = taken(dsse.verify, data, key, where="input")
        assert payload in (None, _PAYLOAD), "a statement that nobody signed"
    return found is not None


def _payload(data: bytes) -> bool:
    found = taken(statement.decode, data, where="input")
    if found is None:
        return False
    taken(found.about, _IMAGE, where="input")
    try:
        written = statement.encode(found)
    except TypeError:
        return True  # a fraction in the predicate
    assert statement.decode(written, where="written") == found
    return True


def _public(data: bytes) -> bool:
    """One spelling for one key: what is taken is written again as it is."""
    key = taken(read_public_key, data, where="input")
    assert key is None or read_public_key(key.pem, where="written") == key
    return key is not None


def _private(data: bytes) -> bool:
    """Plain keys: the cost of opening others is bounded by their own tests."""
    key = taken(read_private_key, data, _no_passphrase, where="input")
    if key is not None:
        key.public.verify(key.sign(_MESSAGE), _MESSAGE, where="input")
    return key is not None


def _no_passphrase() -> bytes:
    raise UsageError("nobody to ask")


def _der(data: bytes) -> bool:
    found = taken(der.parse_ecdsa, data, where="input")
    assert found is None or found.encode() == data, "two spellings of one signature"
    return found is not None


def _image(data: bytes) -> bool:
    """A manifest of signatures, whose blobs are the one payload that was signed, or what the input says."""

    def fetch(digest: Digest, limit: int) -> bytes:
        return _SIMPLE if digest == Digest.of(_SIMPLE) else data[:limit]

    taken(images.referrer_manifests, data, where="input")
    taken(images.from_referrer, data, _IMAGE, _PUBLIC, fetch, where="input")
    found = taken(images.from_tag, data, _IMAGE, _PUBLIC, fetch, where="input")
    assert not taken(images.from_tag, data, _OTHER_IMAGE, _PUBLIC, fetch, where="input"), "signed another image"
    return bool(found)


READERS: Final[dict[str, modes.Reader]] = {
    "policy": _policy,
    "sigstore bundle": _signature("bundle.json.sigstore.json"),
    "classic": _signature("bundle.json.sig"),
    "statement": _statement,
    "payload": _payload,
    "public key": _public,
    "private key": _private,
    "der": _der,
    "image": _image,
}
_PAYLOAD: Final = statement.encode(
    statement.Statement(
        subjects=(statement.Subject(name="a", digest=_IMAGE),), predicate_type="https://p", predicate={"a": [1]}
    )
)
_SIMPLE: Final = images.simple_payload(_IMAGE, "a/b:c")


def _referrers() -> list[bytes]:
    described = {"mediaType": "m", "digest": str(_IMAGE), "size": 5, "artifactType": envelope.MEDIA_TYPE}
    layer = {"mediaType": envelope.MEDIA_TYPE, "digest": str(_IMAGE), "size": 9}
    found = ({"manifests": [described]}, {"layers": [layer], "subject": described})
    return [json.dumps(document).encode() for document in found]


def _tagged() -> bytes:
    signed = blob.write_sig(_ECDSA.sign(_SIMPLE)).decode().strip()
    layer = {
        "mediaType": images.SIMPLE_SIGNING,
        "digest": str(Digest.of(_SIMPLE)),
        "size": len(_SIMPLE),
        "annotations": {"dev.cosignproject.cosign/signature": signed},
    }
    return json.dumps({"schemaVersion": 2, "layers": [layer], "config": layer}).encode()


def _examples() -> dict[str, list[bytes]]:
    names = {"a": _ECDSA.public.pem.decode(), "b": _EDWARDS.public.pem.decode()}
    rule = {"names": ["rke2-*"], "signers": ["a", "b"], "threshold": 2}
    document = {"format": "1.0", "name": "f", "sequence": 1, "keys": names, "update": {"signers": ["a"]}}
    plain = {"format": "1.0", "name": "f", "sequence": 1, "keys": names, "update": {"signers": ["b"]}, "bundles": []}
    return {
        "policy": [json.dumps(document | {"bundles": [rule]}).encode(), json.dumps(plain).encode()],
        "sigstore bundle": [envelope.write_message(k.public, Digest.of(_MESSAGE), k.sign(_MESSAGE)) for k in _KEYS],
        "classic": [blob.write_sig(key.sign(_MESSAGE)) for key in _KEYS],
        "statement": [dsse.sign(key, _PAYLOAD) for key in _KEYS],
        "payload": [_PAYLOAD],
        "public key": [key.public.pem for key in _KEYS],
        "private key": [
            *(write_block("PRIVATE KEY", key.pkcs8()) for key in _KEYS),
            write_private_key(_EDWARDS, b"x", random=bytes),
        ],
        "der": [_ECDSA.sign(_MESSAGE)],
        "image": [_tagged(), *_referrers()],
    }


TARGET: Final = Target(read=modes.by_first_byte(READERS), seeds=lambda: modes.seeds(READERS, _examples()), least=100)
