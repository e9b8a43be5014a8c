"""The format of Debian binary packages, read in memory: an `ar` archive of debian-binary, control.tar.*, data.tar.*.

Source: deb(5), ar(5). No maintainer script is ever looked at.
"""

import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from backports import zstd

from bundles.errors import FormatError, LimitError

MAX_DATA: Final = 2 << 30  # bytes of an unpacked data.tar; Debian's largest are kernels' debug packages
_MAX_RATIO: Final = 100  # of unpacked to packed bytes: text packs to a tenth
_RATIO_FLOOR: Final = 64 << 20  # bytes that any package may unpack to
_MAX_MEMBERS: Final = 100_000
_MAX_XZ_MEMORY: Final = 128 << 20  # bytes: xz -9 takes 65 MiB to unpack
_WINDOW_LOG: Final = 25  # zstd, 32 MiB: dpkg writes 8
_AR_MAGIC: Final = b"!<arch>\n"
_AR_HEADER: Final = 60
_MAX_LINKS: Final = 8
# What tarfile says of damage; extension headers and links that lead in circles make it recurse.
_DAMAGE: Final = (tarfile.TarError, ValueError, KeyError, EOFError, OverflowError, RecursionError)
_GZIP: Final = 16 + zlib.MAX_WBITS


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...

    @property
    def eof(self) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DebEntry:
    """What a package has at a path: `mode` in octal, `target` of a symlink as it is stored."""

    kind: Literal["file", "folder", "symlink", "other"]
    mode: int
    target: str = ""


class DebFile:
    """One package's data: its files by the path that they would have on a system."""

    def __init__(self, package: bytes, *, where: object, limit: int = MAX_DATA) -> None:
        """The .deb's bytes; `limit` bounds its data in bytes. Raises FormatError, LimitError."""
        self._where = where
        self._package, self._limit = package, limit
        self._archive, self._members = self._open("data.tar")

    def _open(self, name: str) -> tuple[tarfile.TarFile, Mapping[str, tarfile.TarInfo]]:
        data = _part(self._package, name, self._where, self._limit)
        try:
            # `r:`: exactly a tar; the default would unpack another compression inside, without any bound.
            archive = tarfile.open(fileobj=io.BytesIO(data), mode="r:")  # noqa: SIM115 (kept open)
            return archive, self._listed(archive)
        except _DAMAGE as exc:
            raise FormatError(f"malformed {name}: {exc}", where=self._where) from exc

    def _listed(self, archive: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
        """All members by path; raises LimitError for far too many, FormatError for sparse ones: 1 TiB in 1 KiB."""
        found: dict[str, tarfile.TarInfo] = {}
        for number, member in enumerate(archive):
            if number >= _MAX_MEMBERS:
                raise LimitError("too many files in the package", where=self._where, want=f"<= {_MAX_MEMBERS}")
            if member.sparse is not None or member.issparse():
                raise FormatError("sparse members are refused", where=self._where, got=member.name)
            found[member.name.removeprefix("./").rstrip("/")] = member
        return found

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths of the package, sorted, without a leading `/`."""
        return tuple(sorted(self._members))

    def entry(self, path: str) -> DebEntry | None:
        """What the package has at a path, links not followed; None for nothing."""
        member = self._members.get(path)
        if member is None:
            return None
        if member.issym():
            return DebEntry(kind="symlink", mode=0o777, target=member.linkname)
        kind: Literal["file", "folder", "other"] = "file" if member.isreg() or member.islnk() else "other"
        return DebEntry(kind="folder" if member.isdir() else kind, mode=member.mode & 0o7777)

    def control(self) -> str:
        """The package's own record (Debian policy 5.3). Raises FormatError, LimitError."""
        archive, members = self._open("control.tar")
        member = members.get("control")
        try:
            file = archive.extractfile(member) if member is not None and member.isreg() else None
            content = file.read() if file is not None else None
        except _DAMAGE as exc:
            raise FormatError(f"malformed control.tar: {exc}", where=self._where) from exc
        if content is None:
            raise FormatError("no control file in the package", where=self._where)
        return content.decode("utf-8", "replace")

    def file(self, path: str) -> tuple[bytes, bool]:
        """A path in the package -> the file's bytes, and whether it is executable; links are followed by names alone.

        Raises FormatError when there is no such file, or it is a directory or special.
        """
        member = self._resolve(path)
        try:
            file = self._archive.extractfile(member) if member.isreg() or member.islnk() else None
            content = file.read() if file is not None else None
        except _DAMAGE as exc:
            raise FormatError(f"malformed data.tar: {exc}", where=self._where, got=path) from exc
        if content is None:
            raise FormatError("not a regular file in the package", where=self._where, got=path)
        return content, bool(member.mode & 0o111)

    def _resolve(self, path: str) -> tarfile.TarInfo:
        wanted = joined("", path)
        for _ in range(_MAX_LINKS):
            member = self._members.get(wanted)
            if member is None:
                raise FormatError("no such file in the package", where=self._where, got=path)
            if not member.issym():
                return member
            wanted = joined(wanted.rpartition("/")[0], member.linkname)
        raise FormatError("too many links in the package", where=self._where, got=path)


def joined(folder: str, link: str) -> str:
    """A link's target below the package's root, which `..` does not leave."""
    parts: list[str] = []
    for part in (link if link.startswith("/") else f"{folder}/{link}").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _part(package: bytes, wanted: str, where: object, limit: int) -> bytes:
    """A .deb -> its unpacked data.tar or control.tar."""
    found = [(name, content) for name, content in _members(package, where) if name.startswith(wanted)]
    if len(found) != 1:
        raise FormatError(f"no {wanted} in the package" if not found else f"{wanted} twice", where=where)
    ((name, content),) = found
    return unpacked(name, content, where, min(limit, max(_RATIO_FLOOR, _MAX_RATIO * len(content))))


def _members(package: bytes, where: object) -> Iterator[tuple[str, bytes]]:
    if not package.startswith(_AR_MAGIC):
        raise FormatError("not a Debian package", where=where)
    at = len(_AR_MAGIC)
    while at + _AR_HEADER <= len(package):
        header = package[at : at + _AR_HEADER]
        digits = header[48:58].rstrip(b" ")
        size = int(digits) if digits.isdigit() else -1
        at += _AR_HEADER
        if header[58:] != b"`\n" or size < 0 or at + size > len(package):
            raise FormatError("malformed ar header", where=where)
        yield header[:16].decode("ascii", "replace").rstrip(" ").rstrip("/"), package[at : at + size]
        at += size + size % 2


def unpacked(name: str, content: bytes, where: object, limit: int) -> bytes:
    """A packed tar, its name with its suffix -> the tar, at most `limit` bytes. Raises FormatError, LimitError."""
    suffix = name.partition(".tar")[2]
    if not suffix:
        return content
    makers = {".xz": _xz, ".gz": _gzip, ".zst": _zstd}
    if suffix not in makers:
        raise FormatError("unknown compression in the package", where=where, got=name, want=", ".join(makers))
    decompressor: _Decompressor = makers[suffix]()
    try:
        data = decompressor.decompress(content, limit)
    except (lzma.LZMAError, zlib.error, zstd.ZstdError, EOFError) as exc:
        raise FormatError(f"cannot decompress {name}: {exc}", where=where) from exc
    if not decompressor.eof:
        if len(data) >= limit:
            raise LimitError(f"{name} is too large", where=where, want=f"<= {limit} bytes")
        raise FormatError(f"{name} is cut short", where=where)
    return data


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_MAX_XZ_MEMORY)


def _zstd() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


def _gzip() -> _Decompressor:
    return zlib.decompressobj(_GZIP)
