"""A tar, member by member: from a file by seeking, or from a stream. Its own reader, strict where readers differ.

tarfile stops quietly at damage, takes the end of the file for the end of the archive and follows sparse maps of any
size; here all of these are errors, and nothing is allocated before it is bounded.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from bundles.errors import FormatError, LimitError
from bundles.foreign import names, tarheader
from bundles.foreign.tarheader import BLOCK, ZERO, RawHeader
from bundles.region import Region

Kind = Literal["file", "dir", "symlink", "hardlink", "special"]
MAX_PADDING: Final = 1 << 20  # bytes of zeros after the end: GNU tar fills up to its blocking factor
_HEADERS: Final = 3  # headers that a member may have on average, extensions included
_MAX_NAMES: Final = 16 << 20  # bytes of all names and link targets: readers keep them, four times as large
_MAX_EXTENSIONS: Final = 32 << 20  # bytes of all extension headers: their records are taken apart one by one
_KINDS: Final[dict[bytes, Kind]] = {
    b"0": "file",
    b"\x00": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "special",
    b"4": "special",
    b"5": "dir",
    b"6": "special",
}
_EXTENSIONS: Final = {b"x": "PAX", b"L": "GNU long name", b"K": "GNU long link"}
_NAMING: Final = ("path", "linkpath", "size")


class Source(Protocol):
    """Bytes in order. `position` is where the next read begins, in bytes."""

    @property
    def position(self) -> int:
        """Bytes read and skipped so far."""
        ...

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes; FormatError where there are fewer."""
        ...

    def pieces(self, count: int) -> Iterator[bytes | memoryview]:
        """The next `count` bytes in pieces."""
        ...

    def skip(self, count: int) -> None:
        """Goes `count` bytes further; FormatError where there are fewer."""
        ...

    def rest(self) -> Iterator[bytes | memoryview]:
        """All that follows."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """One member: clean `name` ("" is the root), body at `offset` with `size` bytes, `mode` octal, `target` of links.

    A hard link's target is a clean name too; a symbolic link's is as written.
    """

    name: str
    kind: Kind
    size: int
    mode: int
    target: str
    offset: int


class RegionSource:
    """A file that is read by position: bodies nobody asks for are never touched."""

    def __init__(self, region: Region) -> None:
        """Takes the tar as a region."""
        self._region = region
        self.position = 0

    def read(self, count: int) -> bytes:
        """See Source."""
        data = self._region.read(self.position, count)
        self.position += count
        return data

    def pieces(self, count: int) -> Iterator[bytes]:
        """See Source."""
        start = self.position
        self.position += count
        return self._region.chunks(start, count)

    def skip(self, count: int) -> None:
        """See Source."""
        if self.position + count > self._region.size:
            raise FormatError("truncated", where=self._region.where, want=f"{self.position + count} bytes")
        self.position += count

    def rest(self) -> Iterator[bytes]:
        """See Source."""
        return self.pieces(self._region.size - self.position)


class StreamSource:
    """A stream of pieces of any size, bounded by whoever makes them."""

    def __init__(self, pieces: Iterable[bytes], where: str) -> None:
        """`where` names the stream in errors."""
        self._pieces = iter(pieces)
        self._piece = memoryview(b"")
        self._where = where
        self.position = 0

    def _take(self, count: int) -> memoryview:
        """At least one and at most `count` bytes."""
        while not self._piece:
            data = next(self._pieces, None)
            if data is None:
                raise FormatError("truncated", where=self._where, got=f"{self.position} bytes")
            self._piece = memoryview(data)
        part, self._piece = self._piece[:count], self._piece[count:]
        self.position += len(part)
        return part

    def read(self, count: int) -> bytes:
        """See Source."""
        part = self._take(count) if count else memoryview(b"")
        if len(part) == count:
            return bytes(part)
        parts = [part, *self.pieces(count - len(part))]
        return b"".join(parts)

    def pieces(self, count: int) -> Iterator[memoryview]:
        """See Source."""
        while count:
            part = self._take(count)
            count -= len(part)
            yield part

    def skip(self, count: int) -> None:
        """See Source."""
        for _ in self.pieces(count):
            pass

    def rest(self) -> Iterator[memoryview]:
        """See Source."""
        yield self._piece
        for data in self._pieces:
            yield memoryview(data)
        self._piece = memoryview(b"")


class TarReader:
    """Iterates over the members; `body()` gives the current one's bytes, once, before the next is asked for."""

    def __init__(self, source: Source, where: str, *, max_members: int, leading_dot: bool) -> None:
        """`max_members` bounds members, and three times as many headers; `leading_dot` accepts `./` before names."""
        self._source = source
        self._where = where
        self._max = max_members
        self._leading_dot = leading_dot
        self._headers = 0
        self._names = 0
        self._extensions = 0
        self._left = 0
        self._pad = 0

    def __iter__(self) -> Iterator[Member]:
        """Members in order, then the check of the end: two zero blocks and nothing but zeros."""
        count = 0
        while (header := self._header()) is not None:
            member = self._member(header)
            count += 1
            if count > self._max:
                raise LimitError("too many members", where=self._where, want=f"<= {self._max}")
            self._left, self._pad = member.size, -member.size % BLOCK
            yield member
            self._source.skip(self._left + self._pad)
        self._end()

    def body(self) -> Iterator[bytes | memoryview]:
        """The current member's bytes."""
        size, self._left = self._left, 0
        return self._source.pieces(size)

    def _header(self) -> RawHeader | None:
        """The next header block; None at the first zero block."""
        block = self._source.read(BLOCK)
        if block == ZERO:
            return None
        self._headers += 1
        if self._headers > _HEADERS * self._max + 1:
            raise LimitError("too many members", where=self._where, want=f"<= {_HEADERS * self._max} headers")
        return tarheader.parse(block, f"{self._where}, header at byte {self._source.position - BLOCK}")

    def _member(self, header: RawHeader) -> Member:
        """Reads the extensions in front of a member and puts all together."""
        extensions: dict[str, bytes] = {}
        while header.typeflag in _EXTENSIONS or header.typeflag == b"g":
            self._extension(header, extensions)
            following = self._header()
            if following is None:
                raise FormatError("tar extension header without a member", where=self._where)
            header = following
        return self._build(header, extensions)

    def _extension(self, header: RawHeader, extensions: dict[str, bytes]) -> None:
        where = f"{self._where}, extension before byte {self._source.position}"
        self._extensions += tarheader.bounded(header.size, where)
        if self._extensions > _MAX_EXTENSIONS:
            raise LimitError("too much in extension headers", where=self._where, want=f"<= {_MAX_EXTENSIONS} bytes")
        body = self._source.read(header.size)
        self._source.skip(-header.size % BLOCK)
        if header.typeflag == b"g":
            if not tarheader.pax_records(body, where).keys().isdisjoint(_NAMING):
                raise FormatError("PAX global header that names or sizes members", where=where)
            return
        if header.typeflag == b"x":
            found = {key: value for key, value in tarheader.pax_records(body, where).items() if key in _NAMING}
            found["PAX"] = b""
        else:
            found = {"path" if header.typeflag == b"L" else "linkpath": body.removesuffix(b"\x00")}
        if not found.keys().isdisjoint(extensions):
            raise FormatError("two names, sizes or PAX headers for one member", where=where)
        extensions.update(found)

    def _build(self, header: RawHeader, extensions: dict[str, bytes]) -> Member:
        kind = _KINDS.get(header.typeflag)
        raw = extensions.get("path", header.name)
        where = f"{self._where}: {raw[:200].decode('utf-8', 'backslashreplace')}"
        if kind is None:
            what = "sparse members are refused" if header.typeflag == b"S" else "unknown type of tar member"
            raise FormatError(what, where=where, got=repr(header.typeflag))
        size = header.size
        if "size" in extensions:
            size = tarheader.pax_size(extensions["size"], size, where)
        linked = extensions.get("linkpath", header.linkname)
        self._names += len(raw) + len(linked)
        if self._names > _MAX_NAMES:
            raise LimitError("names too long in all", where=self._where, want=f"<= {_MAX_NAMES} bytes")
        written = names.text(raw, "name", self._where)
        if kind == "file" and written.endswith("/"):
            raise FormatError("a file with the name of a directory", where=where)
        if kind != "file" and size:
            raise FormatError("a body where readers expect none", where=where, got=f"{size} bytes")
        target = names.text(linked, "link target", where)
        if kind == "hardlink":
            target = names.clean(target, where, leading_dot=self._leading_dot)
        if kind == "symlink" and not target:
            raise FormatError("a link to nothing", where=where)
        name = names.clean(written, self._where, leading_dot=self._leading_dot)
        return Member(name, kind, size, header.mode, target, self._source.position)

    def _end(self) -> None:
        if self._source.read(BLOCK) != ZERO:
            raise FormatError("data after the first zero block", where=self._where)
        total = 0
        for piece in self._source.rest():
            total += len(piece)
            if total > MAX_PADDING:
                raise LimitError("too much after the end of the tar", where=self._where, want=f"<= {MAX_PADDING} bytes")
            if bytes(piece).strip(b"\x00"):
                raise FormatError("data after the end of the tar", where=self._where)
