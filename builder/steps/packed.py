"""Archives as people publish them, member by member: tar in any of five packings, zip. Nothing is trusted.

Attacks: names that climb, links that lead out, one name twice, devices, sparse members, archives that unpack to
terabytes, headers that two readers read differently. Each is an error before anything is written.
"""

import contextlib
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.steps.zipped import zip_members
from bundles import framed
from bundles.errors import FormatError
from bundles.files import os_errors
from bundles.foreign import names, outer
from bundles.foreign.layer import limited
from bundles.foreign.tarreader import Member, RegionSource, Source, StreamSource, TarReader
from bundles.region import Region, open_region

MAX_MEMBERS: Final = 100_000
MAX_CONTENT: Final = 8 << 30  # bytes of all that an archive holds
_MAX_XZ_MEMORY: Final = 128 << 20  # bytes: xz -9 takes 65 MiB to unpack
_XZ: Final = (".tar.xz", ".txz")
_PIECE: Final = 1 << 18

Body = Callable[[], Iterator[bytes | memoryview]]


@dataclass(frozen=True, slots=True)
class Packed:
    """A member with its clean name, and its bytes: to be read once, before the next member is asked for."""

    member: Member
    body: Body


def known(name: str) -> bool:
    """Whether a file of this name is an archive that can be read."""
    folded = name.lower()
    return folded.endswith((".zip", *_XZ)) or outer.compression(name) is not None


@contextlib.contextmanager
def packed(path: Path, name: str) -> Iterator[Iterator[Packed]]:
    """The members of the archive at `path`, whose name is `name`, in its order; the root itself is left out.

    Raises FormatError, LimitError while iterating; only an iterator that came to its end has seen a whole archive.
    """
    with os_errors(name), contextlib.ExitStack() as stack:
        if name.lower().endswith(".zip"):
            yield _checked(stack.enter_context(zip_members(path, name, MAX_MEMBERS, MAX_CONTENT)), name)
            return
        region = stack.enter_context(open_region(path))
        region = region.part(0, region.size, name)
        reader = TarReader(stack.enter_context(_tar(region, name)), name, max_members=MAX_MEMBERS, leading_dot=True)
        yield _checked(((member, reader.body) for member in reader), name)


@contextlib.contextmanager
def _tar(region: Region, name: str) -> Iterator[Source]:
    """The tar inside, as a stream within 200 times the packed size."""
    kind = outer.compression(name)
    if kind == outer.PLAIN:
        yield RegionSource(region)
    elif kind is not None:
        with outer.uncompressed(region, kind) as pieces:
            yield StreamSource(limited(pieces, MAX_CONTENT, name), name)
    elif name.lower().endswith(_XZ):
        inner = framed.within_ratio(_unxz(region, name), region.size, name)
        yield StreamSource(limited(inner, MAX_CONTENT, name), name)
    else:
        raise FormatError("no archive that can be read", where=name, want=".tar[.gz|.xz|.zst|.bz2] or .zip")


def _unxz(region: Region, where: str) -> Iterator[bytes]:
    """One xz stream -> content, in pieces of bounded size."""
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MAX_XZ_MEMORY)
    try:
        for chunk in region.chunks(0, region.size):
            if decoder.eof:
                raise FormatError("data after the end of the xz stream", where=where)
            yield decoder.decompress(chunk, _PIECE)
            while not (decoder.needs_input or decoder.eof):
                yield decoder.decompress(b"", _PIECE)
    except lzma.LZMAError as exc:
        raise FormatError(f"damaged xz data: {exc}", where=where) from exc
    if not decoder.eof or decoder.unused_data:
        what = "data after the end of the xz stream" if decoder.eof else "xz data end too early"
        raise FormatError(what, where=where)


def _checked(found: Iterator[tuple[Member, Body]], where: str) -> Iterator[Packed]:
    """Refuses what no source archive needs: names twice, a file that is also a folder, links out, devices."""
    kinds: dict[str, str] = {}
    for member, body in found:
        if not member.name and member.kind == "dir":
            continue
        if member.kind == "special":
            raise FormatError("device or FIFO", where=where, got=member.name[:200])
        if member.name in kinds and not member.kind == kinds[member.name] == "dir":
            raise FormatError("one name twice in the archive", where=where, got=member.name[:200])
        if member.kind == "symlink" and names.linked(member.name, member.target) is None:
            got = f"{member.name[:200]} -> {member.target[:200]}"
            raise FormatError("a link that leaves the archive", where=where, got=got)
        if member.kind == "hardlink" and kinds.get(member.target) != "file":
            raise FormatError("a hard link to what is no file before it", where=where, got=member.name[:200])
        _refuse_below_others(member.name, kinds, where)
        kinds[member.name] = "file" if member.kind == "hardlink" else member.kind
        yield Packed(member, body)


def _refuse_below_others(name: str, kinds: dict[str, str], where: str) -> None:
    """An entry below a link would be written where the link leads."""
    parent = name.rpartition("/")[0]
    while parent and parent not in kinds:
        kinds[parent] = "dir"
        parent = parent.rpartition("/")[0]
    if parent and kinds[parent] != "dir":
        raise FormatError(f"entry below a {kinds[parent]}", where=where, got=name[:200])
