"""zip archives (APPNOTE.TXT 6.3), of which only what every reader reads alike is taken.

The table at the end is looked at before zipfile is: it says how much of it there is, and zipfile would read all of it.
"""

import contextlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from bundles.errors import FormatError, LimitError
from bundles.foreign import names
from bundles.foreign.tarreader import Kind, Member
from bundles.framed import MAX_RATIO, RATIO_FLOOR

_END: Final = struct.Struct("<4s4H2LH")  # 4.3.16: end of central directory record
_MAX_COMMENT: Final = 0xFFFF
_MAX_TABLE: Final = 32 << 20  # bytes
_MAX_LINK: Final = 4096  # bytes of a link's target
_PIECE: Final = 1 << 18
_UNIX: Final = 3  # 4.4.2: the mode is in the upper half of the external attributes
_PACKINGS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OverflowError,
    struct.error, KeyError, IndexError,
)  # fmt: skip

Found = Iterator[tuple[Member, Callable[[], Iterator[bytes]]]]


@contextlib.contextmanager
def zip_members(path: Path, where: str, max_members: int, max_content: int) -> Iterator[Found]:
    """The members of a zip as those of a tar; `max_content` bounds all of them in bytes. OSErrors pass."""
    with path.open("rb") as file:
        _check_end(file, where, max_members)
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGE as exc:
            raise _damaged(exc, where) from exc
        with archive:
            size = path.stat().st_size
            yield _members(archive, where, min(max_content, max(RATIO_FLOOR, MAX_RATIO * size)))


def _members(archive: zipfile.ZipFile, where: str, limit: int) -> Found:
    infos = archive.infolist()
    total = sum(info.file_size for info in infos)
    if total > limit:
        raise LimitError("unpacks to too much", where=where, got=f"{total} bytes", want=f"<= {limit} bytes")
    for info in infos:
        member = _member(archive, info, where)
        yield member, lambda info=info: _body(archive, info, where)  # type: ignore[misc] # bound now, not later


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> Member:
    # orig_filename: zipfile itself cuts names at a NUL and turns the machine's separators.
    name = names.text(info.orig_filename.encode("utf-8", "surrogateescape"), "name", where)
    got = name[:200]
    if info.flag_bits & 0x1:
        raise FormatError("an encrypted member", where=where, got=got)
    if info.compress_type not in _PACKINGS:
        raise FormatError("a packing that is not taken", where=where, got=f"{got}: {info.compress_type}")
    if "\\" in name:
        raise FormatError("a name that readers read differently", where=where, got=got)
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    kind = _kind(name, mode)
    if kind != "file" and kind != "symlink" and info.file_size:
        raise FormatError("a body where readers expect none", where=where, got=got)
    target = ""
    if kind == "symlink":
        if info.file_size > _MAX_LINK:
            raise LimitError("link target too long", where=where, got=got)
        target = names.text(b"".join(_body(archive, info, where)), "link target", where)
        if not target:
            raise FormatError("a link to nothing", where=where, got=got)
    size = info.file_size if kind == "file" else 0
    return Member(names.clean(name, where, leading_dot=True), kind, size, mode & 0o7777, target, info.header_offset)


def _kind(name: str, mode: int) -> Kind:
    kinds: dict[int, Kind] = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink"}
    return "dir" if name.endswith("/") else kinds.get(stat.S_IFMT(mode), "special")


def _body(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> Iterator[bytes]:
    """The bytes of a member, no more than it says; zipfile compares their CRC at the end."""
    done = 0
    try:
        with archive.open(info) as file:
            while data := file.read(_PIECE):
                done += len(data)
                yield data
    except _DAMAGE as exc:
        raise _damaged(exc, where) from exc
    if done != info.file_size:
        raise FormatError("truncated", where=where, got=f"{done} bytes", want=f"{info.file_size} bytes")


def _check_end(file: BinaryIO, where: str, max_members: int) -> None:
    """The record at the very end is the only one, says where the table is, and how large (4.3.16)."""
    size = file.seek(0, 2)
    start = max(0, size - _MAX_COMMENT - _END.size)
    file.seek(start)
    tail = file.read(_MAX_COMMENT + _END.size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise FormatError("not a zip archive, or cut short", where=where)
    _, disk, first, here, count, length, offset, comment = _END.unpack_from(tail, at)
    if disk or first or here != count or comment != len(tail) - at - _END.size:
        raise FormatError("a zip whose end says several things", where=where)
    if 0xFFFF in (count, here) or 0xFFFFFFFF in (length, offset):
        raise FormatError("a zip of the 64 bit kind is not taken", where=where)
    if count > max_members or length > _MAX_TABLE:
        raise LimitError("too many members", where=where, got=count, want=f"<= {max_members}")
    if offset + length != start + at:
        raise FormatError("something lies between the parts of the zip, or before it", where=where)
    file.seek(0)


def _damaged(error: Exception, where: str) -> FormatError:
    return FormatError(f"damaged zip: {ascii(str(error))[:200]}", where=where)
