"""What an archive holds: names, where their bodies lie, and the small JSON documents among them.

A plain tar is walked by seeking: headers only. A compressed one is decompressed once to learn what it holds and, if
the image is in it, once more to put that image's layers into an unnamed scratch file.
"""

import contextlib
import tempfile
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from bundles.errors import FormatError, LimitError
from bundles.files import TEMP_PREFIX, os_errors, pwrite_all
from bundles.foreign import names, outer
from bundles.foreign.tarreader import Member, RegionSource, StreamSource, TarReader
from bundles.region import Region, open_region

MAX_MEMBERS: Final = 100_000
MAX_DOCUMENT: Final = 8 << 20  # bytes of one JSON document
MAX_DOCUMENTS: Final = 64 << 20  # bytes of all that are kept of a compressed archive


Span = tuple[int, int]  # offset and size of a body in the uncompressed tar, bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """Regular files (name -> offset and size of the body in bytes), symbolic links (name -> target), directories."""

    files: dict[str, Span] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def has(self, name: str, where: str) -> bool:
        """Whether there is a regular file of this name; a link or directory in its place raises FormatError."""
        if name in self.links or name in self.folders:
            raise FormatError("must be a regular file", where=where, got=name)
        return name in self.files

    def resolve(self, name: str, where: str) -> str:
        """`name`, or the file that a link of that name points at, one step far; raises FormatError.

        docker save stored a repeated layer as a link to the first (`../HEX/layer.tar`).
        """
        target = names.linked(name, self.links[name]) if name in self.links else name
        if target is None or target not in self.files:
            raise FormatError("not in the archive", where=where, got=name[:200])
        return target


class OpenArchive(Protocol):
    """An archive that is open: plain or compressed."""

    contents: Contents
    where: str

    def document(self, name: str) -> bytes:
        """The bytes of a small file of the archive (already resolved)."""
        ...


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[OpenArchive]:
    """Opens an archive by its suffix and reads its table of contents; raises FormatError, LimitError."""
    kind = outer.compression(path.name) or outer.PLAIN
    with open_region(path) as region:
        yield _Plain(region) if kind == outer.PLAIN else _Compressed(region, kind)


@contextlib.contextmanager
def open_bodies(path: Path, scratch: Path, wanted: Mapping[str, Span]) -> Iterator[dict[str, Region]]:
    """The bodies of files whose places are known from `open_archive`, to be read in the block.

    Those of a compressed archive are copied to an unnamed file below `scratch` first. What is read is checked by
    digests later, so an archive that was swapped in between is noticed.
    """
    kind = outer.compression(path.name) or outer.PLAIN
    with open_region(path) as region:
        if kind == outer.PLAIN:
            yield {name: region.part(*span, f"{path}: {name}") for name, span in wanted.items()}
            return
        with os_errors(scratch):
            spool = tempfile.TemporaryFile(dir=scratch, prefix=TEMP_PREFIX)  # noqa: SIM115 (closed below)
        with spool:
            yield _spooled(region, kind, spool.fileno(), wanted)


class _Plain:
    """An uncompressed tar."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self.where = region.where
        self.contents = Contents()
        reader = TarReader(RegionSource(region), self.where, max_members=MAX_MEMBERS, leading_dot=False)
        for member in reader:
            _enter(self.contents, member, self.where)

    def document(self, name: str) -> bytes:
        offset, size = self.contents.files[name]
        if size > MAX_DOCUMENT:
            raise LimitError("document too large", where=f"{self.where}: {name}", got=f"{size} bytes")
        return self._region.read(offset, size)


class _Compressed:
    """A compressed tar."""

    def __init__(self, region: Region, kind: str) -> None:
        self.where = region.where
        self.contents = Contents()
        self._documents: dict[str, bytes] = {}
        kept = 0
        for member, reader in _members(region, kind):
            _enter(self.contents, member, self.where)
            if member.kind == "file" and 0 < member.size <= MAX_DOCUMENT:
                data = _document(reader)
                kept += len(data)
                if kept > MAX_DOCUMENTS:
                    raise LimitError("too many documents", where=self.where, want=f"<= {MAX_DOCUMENTS} bytes")
                self._documents[member.name] = data

    def document(self, name: str) -> bytes:
        data = self._documents.get(name, b"")
        if len(data) != self.contents.files[name][1]:
            raise FormatError("not a JSON document of a bearable size", where=f"{self.where}: {name}")
        return data


def _members(region: Region, kind: str) -> Generator[tuple[Member, TarReader], None, None]:
    """The members of a compressed tar, each with the reader that can give its body."""
    with outer.uncompressed(region, kind) as pieces:
        reader = TarReader(StreamSource(pieces, region.where), region.where, max_members=MAX_MEMBERS, leading_dot=False)
        for member in reader:
            yield member, reader


def _spooled(region: Region, kind: str, spool: int, wanted: Mapping[str, Span]) -> dict[str, Region]:
    """Decompresses until all wanted bodies are in the scratch file."""
    found: dict[str, Region] = {}
    end = 0
    with contextlib.closing(_members(region, kind)) as members:
        for member, reader in members:
            if wanted.get(member.name) == (member.offset, member.size) and member.kind == "file":
                where = f"{region.where}: {member.name}"
                found[member.name] = Region(fd=spool, start=end, size=member.size, where=where)
                end = _copy(reader, spool, end)
            if len(found) == len(wanted):
                return found
    raise FormatError("the archive changed while it was read", where=region.where)


def _copy(reader: TarReader, spool: int, start: int) -> int:
    """The current member's body to `start` of the scratch file; returns where it ends."""
    with os_errors("scratch directory"):
        for piece in reader.body():
            pwrite_all(spool, piece, start)
            start += len(piece)
    return start


def _document(reader: TarReader) -> bytes:
    """The current member's bytes if they begin as a JSON document does, else nothing."""
    pieces = reader.body()
    first = bytes(next(pieces, b""))
    if first.lstrip(b" \t\r\n")[:1] not in (b"{", b"["):
        for _ in pieces:
            pass
        return b""
    return b"".join((first, *pieces))


def _enter(contents: Contents, member: Member, where: str) -> None:
    """Adds one member; raises FormatError for what no archive of images needs."""
    if member.name in contents.files or member.name in contents.links or member.name in contents.folders:
        raise FormatError("one name twice in the archive", where=where, got=member.name)
    if member.kind == "dir":
        contents.folders.add(member.name)
    elif member.kind == "file":
        contents.files[member.name] = (member.offset, member.size)
    elif member.kind != "symlink":
        raise FormatError("links and special files are refused", where=where, got=f"{member.name} ({member.kind})")
    elif names.linked(member.name, member.target) is None:
        raise FormatError("a link that leaves the archive", where=where, got=f"{member.name} -> {member.target}")
    else:
        contents.links[member.name] = member.target
