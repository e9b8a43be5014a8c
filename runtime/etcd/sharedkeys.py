"""What a new machine needs beside a snapshot: the authorities and keys of the cluster, kept inside etcd itself.

k3s keeps the same under /bootstrap/HASH (pkg/cluster/storage.go). Without it a snapshot on another machine would be
full of secrets that nobody can read. Snapshots get into strangers' hands, and people choose weak tokens: so both the
name and the key come from the token by scrypt, where k3s has a plain hash and 4096 rounds of PBKDF2, and one guess
costs 0.1 s.
"""

import base64
import binascii
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bundles.errors import FormatError, TrustError
from runtime.etcd.bolt import Database

PREFIX: Final = "/bootstrap/sealift-"
SALT: Final = 16  # bytes
NONCE: Final = 12
_ROUNDS: Final = 1 << 15  # of scrypt, with _BLOCK 32 MB
_BLOCK: Final = 8
_MEMORY: Final = 64 << 20
_KEY: Final = 32
_NAMED: Final = b"sealift bootstrap"  # the salt of the name: it must be found again by the token alone
_MAX: Final = 1 << 20  # bytes
_VARINT: Final = 10  # octets at most


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key of etcd at one revision."""

    key: bytes
    value: bytes


@functools.lru_cache(maxsize=4)  # every server looks every few seconds
def key_name(secret: str) -> str:
    """Under which key it stands."""
    return PREFIX + _key(secret, _NAMED)[:16].hex()


def seal(secret: str, document: Mapping[str, Any], *, salt: bytes, nonce: bytes) -> bytes:
    """A document -> `HEX(salt):BASE64(nonce, ciphertext)`; 16 and 12 random bytes."""
    text = json.dumps(document, sort_keys=True).encode()
    sealed = AESGCM(_key(secret, salt)).encrypt(nonce, text, None)
    return salt.hex().encode() + b":" + base64.b64encode(nonce + sealed)


def unseal(secret: str, sealed: bytes) -> Any:
    """The document. Raises TrustError for another secret or damaged bytes, FormatError for what was never sealed."""
    salt, _, text = sealed[:_MAX].partition(b":")
    try:
        data = base64.b64decode(text, validate=True)
        key = _key(secret, bytes.fromhex(salt.decode("ascii")))
        return json.loads(AESGCM(key).decrypt(data[:NONCE], data[NONCE:], None))
    except InvalidTag:
        raise TrustError("the token does not open the keys in this snapshot", hint="use the cluster's own") from None
    except (ValueError, binascii.Error) as exc:
        raise FormatError("not the keys of a cluster") from exc


def find(database: Database, secret: str) -> bytes | None:
    """The newest sealed keys in a database; None when it has none for this secret."""
    wanted = key_name(secret).encode()
    found = None
    for pair in pairs(database):
        if pair.key == wanted:
            found = pair.value or None
    return found


def pairs(database: Database) -> Iterator[KeyValue]:
    """All keys at all revisions, in their order; what was deleted has an empty value."""
    bucket = database.buckets().get(b"key")
    if bucket is None:
        raise FormatError("a database without keys")
    for revision, data in database.each(bucket):
        fields = _fields(data)
        value = b"" if revision.endswith(b"t") else fields.get(5, b"")
        yield KeyValue(fields.get(1, b""), value)


def _key(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=_ROUNDS, r=_BLOCK, p=1, maxmem=_MEMORY, dklen=_KEY)


def _fields(data: bytes) -> dict[int, bytes]:
    """The fields of a protobuf message that have a length; numbers are passed over (mvccpb.KeyValue)."""
    found, at = {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            _, at = _varint(data, at)
        elif tag & 7 == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise FormatError("a key of etcd that is cut short")
            found[tag >> 3] = data[at : at + size]
            at += size
        else:
            raise FormatError("not a key of etcd", got=f"wire type {tag & 7}")
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(_VARINT):
        if at >= len(data):
            break
        octet = data[at]
        at += 1
        number |= (octet & 0x7F) << 7 * shift
        if not octet & 0x80:
            return number, at
    raise FormatError("a key of etcd that is cut short")
