"""Tar: both of our readers, against each other and against Python's; the writer's headers."""

import io
import tarfile
from typing import Final

from bundles import ustar
from bundles.errors import SealiftError
from bundles.foreign.tarreader import Kind, Member, RegionSource, Source, StreamSource, TarReader
from bundles.sealed.entries import EntryScan
from tests.fuzz import examples, modes, repair
from tests.fuzz.model import taken
from tests.support import tars
from tests.support.hostile import LAYERS

_MEMBERS: Final = 1_000
_LARGEST: Final = 48 << 10  # bytes of a hostile layer that is worth a seed
_STEP: Final = 700  # bytes of a piece of a stream: no multiple of anything
Found = list[tuple[Member, bytes]]


def _read(source: Source) -> Found:
    reader = TarReader(source, "input", max_members=_MEMBERS, leading_dot=True)
    return [(member, b"".join(map(bytes, reader.body()))) for member in reader]


def _members(data: bytes) -> Found | None:
    """By seeking and from a stream: the same."""
    with examples.region_of(data) as region:
        seeking = taken(lambda: _read(RegionSource(region)))
    pieces = (data[at : at + _STEP] for at in range(0, len(data), _STEP))
    streaming = taken(lambda: _read(StreamSource(pieces, "input")))
    assert seeking == streaming
    return seeking


def _layer(data: bytes) -> bool:
    """What our strict reader takes, the loose one takes; what that takes, Python's reads in the same way."""
    found = _members(data)
    scan = EntryScan(None, "input")
    strict = taken(_scanned, scan, data) is not None
    if strict:
        assert found is not None, "the strict reader takes what the loose one refuses"
        programs = [member.name for member, _ in found if member.kind == "file" and member.name.startswith("bin/")]
        assert scan.programs == programs
    if found is not None:
        _compare(found, data)
    return strict


def _scanned(scan: EntryScan, data: bytes) -> EntryScan:
    scan.feed(data)
    scan.finish()
    return scan


def _compare(found: Found, data: bytes) -> None:
    """Python ends quietly where it does not understand a header; up to there it must see what we see."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            others = [(member, _body(archive, member)) for member in archive]
    except (tarfile.TarError, ValueError, OverflowError):
        return
    assert len(others) <= len(found), f"Python finds {len(others)} members, we {len(found)}"
    for (member, body), (other, other_body) in zip(found, others, strict=False):
        assert _name(other.name) == member.name, f"{other.name!r}, {member.name!r}"
        assert _kind(other) == member.kind, f"{other.type!r}, {member.kind}"
        assert other_body == body, f"other bytes in {member.name}"
        assert member.kind != "symlink" or other.linkname == member.target


def _body(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member) if member.isreg() else None
    return stream.read() if stream else b""


def _name(name: str) -> str:
    return name.removesuffix("/").removeprefix("./") if name != "." else ""


def _kind(member: tarfile.TarInfo) -> Kind:
    if member.isreg():
        return "file"
    return "dir" if member.isdir() else "symlink" if member.issym() else "hardlink" if member.islnk() else "special"


def _header(data: bytes) -> bool:
    """A header that is taken is written again: the same value, and for what we write the same bytes."""
    block = repair.checksums(data[: ustar.BLOCK].ljust(ustar.BLOCK, b"\x00"))
    header = taken(lambda: ustar.parse(block))
    if header is None:
        return False
    try:
        written = ustar.encode(header)
    except SealiftError:
        return True  # a name with its prefix cut elsewhere than we cut, a type that we do not write
    assert ustar.parse(written) == header
    return True


READERS: Final[dict[str, modes.Reader]] = {
    "as it is": _layer,
    "mended": lambda data: _layer(repair.checksums(data)),
    "header": _header,
}
_ATTACKS: Final = [layer for layer, _ in LAYERS.values() if len(layer) < _LARGEST]

EXAMPLES: Final = {
    "as it is": [examples.plain_layer(), tars.tar(tars.gnu_long(b"bin/" + b"x" * 200), tars.member("y", b"z"))],
    "mended": [examples.plain_layer(), *_ATTACKS],
    "header": [tars.member("bin/x", b"y"), tars.symlink("a", "b")],
}
