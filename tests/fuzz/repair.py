"""Makes mutated archives whole again as far as hashes go, so that fuzzing reaches what lies behind the hashes.

Every blob that is named by its digest gets the digest it has now, everywhere; every header its checksum. Digests are
all of one length, so sizes and offsets stay.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

BLOCK: Final = 512
_ROUNDS: Final = 4  # a layer is named by its config, that by the manifest, that by the index
_BLOB: Final = re.compile(rb"blobs/sha256/([0-9a-f]{64})")
_LISTED: Final = re.compile(rb'"path":"([^"]{1,200})","sha256":"sha256:([0-9a-f]{64})"')
_INDEX: Final = re.compile(rb"([0-9a-f]{64})  bundle\.json\n")

Span = tuple[bytes, int, int]  # name, offset and size of the body


def checksums(data: bytes) -> bytes:
    """A tar with the checksums that its headers should have."""
    fixed = bytearray(data)
    for _, at, _ in spans(data):
        header = fixed[at - BLOCK : at]
        header[148:156] = b" " * 8
        fixed[at - BLOCK + 148 : at - BLOCK + 156] = b"%06o\x00 " % sum(header)
    return bytes(fixed)


def archive(data: bytes) -> bytes:
    """An archive of images whose blobs are what their names say."""
    for _ in range(_ROUNDS):
        changed = {
            match[1]: _hash(data[at : at + size])
            for name, at, size in spans(data)
            if (match := _BLOB.fullmatch(name)) and match[1] != _hash(data[at : at + size])
        }
        if not changed:
            break
        data = _renamed(data, changed)
    return checksums(data)


def bundle(data: bytes) -> bytes:
    """A packed bundle whose archives, index and sums agree on the bytes."""
    for name, at, size in spans(data):
        if name.endswith(b".tar"):
            data = data[:at] + archive(data[at : at + size]) + data[at + size :]
    bodies = {name: data[at : at + size] for name, at, size in spans(data)}
    listed = {path: old for path, old in _LISTED.findall(bodies.get(b"bundle.json", b"")) if path in bodies}
    data = _renamed(data, {old: new for path, old in listed.items() if (new := _hash(bodies[path])) != old})
    for name, at, size in spans(data):
        if name == b"bundle.json" and (found := _INDEX.search(data)):
            data = data[: found.start(1)] + _hash(data[at : at + size]) + data[found.end(1) :]
    return checksums(data)


def spans(data: bytes) -> Iterator[Span]:
    """The members of a tar by what its headers say, right or wrong."""
    at = 0
    while at + BLOCK <= len(data) and any(data[at : at + BLOCK]):
        header = data[at : at + BLOCK]
        digits = header[124:136].strip(b"\x00 ")
        size = int(digits, 8) if digits and not digits.strip(b"01234567") else 0
        yield header[:100].rstrip(b"\x00"), at + BLOCK, min(size, len(data) - at - BLOCK)
        at += BLOCK + size + -size % BLOCK


def _hash(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _renamed(data: bytes, changed: dict[bytes, bytes]) -> bytes:
    if not changed:
        return data
    return re.sub(b"|".join(changed), lambda match: changed[match[0]], data)
