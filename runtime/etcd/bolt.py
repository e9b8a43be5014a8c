"""etcd's database file, read and edited where it must be: pages of go.etcd.io/bbolt (page.go, meta.go, bucket.go).

A snapshot still knows its old cluster: the members, those that were removed, and how far Raft had come. For a new
cluster of one member these are emptied where they stand (what `etcdutl snapshot restore` does; no bundle holds it).
Leaf pages carry no checksum, and nothing moves, so that the file stays a sound database throughout. The file may come
from anywhere: every number in it is bounded before it is used.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import FormatError
from bundles.files import os_errors

_PAGE: Final = struct.Struct("<QHHI")  # id, flags, count, overflow
_META: Final = struct.Struct("<IIIIQQQQQQ")
_LEAF: Final = struct.Struct("<IIII")  # flags, position, key's size, value's size
_BRANCH: Final = struct.Struct("<IIQ")  # position, key's size, page
_BUCKET: Final = struct.Struct("<QQ")  # root page, sequence
_MAGIC: Final = 0xED0CDAED
_VERSION: Final = 2
_IS_BRANCH: Final = 1
_IS_LEAF: Final = 2
_HOLDS_BUCKET: Final = 1
_SIZES: Final = tuple(1 << bits for bits in range(9, 17))  # of pages, bytes
_MAX_DEPTH: Final = 8
_MAX_PAGE: Final = 64 << 20  # bytes, with what overflows
_MAX_ENTRIES: Final = 10_000  # of the buckets that are looked into

META: Final = b"meta"
MEMBERS: Final = (b"members", b"members_removed")
_COUNTERS: Final = (b"consistent_index", b"term")
_COUNTER: Final = 8  # bytes


@dataclass(frozen=True, slots=True)
class _Place:
    """A page: where its header begins in the file, and its bytes."""

    offset: int
    data: bytes


class Database:
    """An open database file; `size` in bytes is that of the database, which may be less than the file's."""

    def __init__(self, fd: int, where: Path) -> None:
        """Takes a descriptor and what errors call it. Raises FormatError for what is no database of bbolt."""
        self._fd, self._where = fd, where
        with os_errors(where):
            self._file = os.fstat(fd).st_size
        self.page_size, self.root, pages = max(self._metas(), key=lambda meta: meta[0])[1:]
        self.size = pages * self.page_size
        if self.size > self._file:
            raise self._wrong("cut short", got=self._file, want=f"{self.size} bytes")

    def buckets(self) -> dict[bytes, int]:
        """The names of the buckets -> where their values begin in the file."""
        return {key: offset for key, offset, _ in self._entries(self._page(self.root), wanted=_HOLDS_BUCKET)}

    def values(self, bucket: int) -> dict[bytes, tuple[int, bytes]]:
        """A bucket, by where its value begins -> key -> where its value begins, and the value."""
        found = {}
        for key, offset, size in self._entries(self._root(bucket), wanted=0):
            found[key] = (offset, self._read(offset, size))
            if len(found) > _MAX_ENTRIES:
                raise self._wrong("too many entries")
        return found

    def each(self, bucket: int) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of a bucket of any size, in order."""
        for key, offset, size in self._entries(self._root(bucket), wanted=0):
            yield key, self._read(offset, size)

    def empty(self, bucket: int) -> None:
        """Takes all entries out of a bucket: its first page becomes a leaf of none; other pages are nobody's then."""
        place = self._root(bucket)
        number, _, _, overflow = _PAGE.unpack_from(place.data)
        self._write(place.offset, _PAGE.pack(number, _IS_LEAF, 0, overflow))

    def overwrite(self, offset: int, data: bytes) -> None:
        """Other bytes, as many, in the place of a value."""
        self._write(offset, data)

    def _metas(self) -> list[tuple[int, int, int, int]]:
        """Transaction, page size, root page, pages of the sound ones of the two meta pages."""
        found = []
        for offset in (0, *_SIZES):
            head = self._read(offset, _PAGE.size + _META.size, short=True)
            if len(head) < _PAGE.size + _META.size:
                continue
            magic, version, size, _, root, _, _, pages, transaction, checksum = _META.unpack_from(head, _PAGE.size)
            if magic != _MAGIC or version != _VERSION or size not in _SIZES or offset not in (0, size):
                continue
            if checksum == _fnv64a(head[_PAGE.size : _PAGE.size + _META.size - 8]):
                found.append((transaction, size, root, pages))
        if not found:
            raise self._wrong("not a database of etcd")
        return found

    def _root(self, bucket: int) -> _Place:
        root, _ = _BUCKET.unpack(self._read(bucket, _BUCKET.size))
        if root:
            return self._page(root)
        offset = bucket + _BUCKET.size  # a small bucket stands inside its parent's page
        return _Place(offset, self._read(offset, min(self.page_size, self._file - offset)))

    def _page(self, number: int) -> _Place:
        offset = number * self.page_size
        head = self._read(offset, _PAGE.size)
        _, _, _, overflow = _PAGE.unpack(head)
        size = (overflow + 1) * self.page_size
        if size > _MAX_PAGE:
            raise self._wrong("a page too large", got=size)
        return _Place(offset, self._read(offset, size))

    def _entries(self, place: _Place, *, wanted: int, depth: int = 0) -> Iterator[tuple[bytes, int, int]]:
        """Key, where the value begins, the value's size; of buckets alone, or of all but buckets."""
        if depth > _MAX_DEPTH:
            raise self._wrong("a tree too deep")
        _, flags, count, _ = _PAGE.unpack_from(place.data)
        if _PAGE.size + count * _LEAF.size > len(place.data):
            raise self._wrong("a page with more entries than it can hold")
        for number in range(count):
            begin = _PAGE.size + number * _LEAF.size
            if flags & _IS_BRANCH:
                _, _, page = _BRANCH.unpack_from(place.data, begin)
                yield from self._entries(self._page(page), wanted=wanted, depth=depth + 1)
                continue
            kind, position, key_size, value_size = _LEAF.unpack_from(place.data, begin)
            key = begin + position
            if key + key_size + value_size > len(place.data):
                raise self._wrong("an entry beyond its page")
            if kind == wanted:
                yield place.data[key : key + key_size], place.offset + key + key_size, value_size

    def _read(self, offset: int, size: int, *, short: bool = False) -> bytes:
        if offset < 0 or size < 0 or offset >= 1 << 62:
            raise self._wrong("a page that cannot be", got=offset)
        with os_errors(self._where):
            data = os.pread(self._fd, size, offset)
        if len(data) < size and not short:
            raise self._wrong("cut short", got=self._file, want=f"{offset + size} bytes")
        return data

    def _write(self, offset: int, data: bytes) -> None:
        with os_errors(self._where):
            os.pwrite(self._fd, data, offset)

    def _wrong(self, message: str, got: object = None, want: object = None) -> FormatError:
        return FormatError(f"etcd's database: {message}", where=self._where, got=got, want=want)


def member_names(database: Database) -> tuple[str, ...]:
    """The identities of the members that a database knows, as their hexadecimal digits."""
    bucket = database.buckets().get(MEMBERS[0])
    return () if bucket is None else tuple(sorted(key.decode("ascii", "replace") for key in database.values(bucket)))


def make_new(database: Database) -> None:
    """Makes the database one of a cluster that begins anew, with the same keys at the same revisions."""
    buckets = database.buckets()
    if META not in buckets or b"key" not in buckets:
        raise FormatError("a database of bbolt, but not etcd's", got=sorted(buckets)[:8])
    for name in MEMBERS:
        if (bucket := buckets.get(name)) is not None:
            database.empty(bucket)
    counters = database.values(buckets[META])
    for name in _COUNTERS:
        if (found := counters.get(name)) is not None:
            offset, value = found
            if len(value) != _COUNTER:
                raise FormatError("not a counter of etcd", where=name.decode(), got=f"{len(value)} bytes")
            database.overwrite(offset, bytes(_COUNTER))


def _fnv64a(data: bytes) -> int:
    found = 0xCBF29CE484222325
    for byte in data:
        found = (found ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return found
