"""A bundle to read from: its folder, or the one `.sealift` file that `pack` makes of it. Nothing is unpacked.

Both say the same three things: the envelope (bundle.json's bytes and the signatures over them, all that may be looked
at before a trust decision), then the names of all files, then each file as a region.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from bundles import ustar
from bundles.errors import FormatError, LimitError, MissingError
from bundles.files import os_errors
from bundles.index import INDEX_NAME, MAX_INDEX
from bundles.region import Region, open_region
from bundles.sealed.read import located
from bundles.signing import blob, envelope, names

MAX_FILES: Final = 10_000
MAX_DEPTH: Final = 8
_MODE: Final = 0o644
_END: Final = bytes(2 * ustar.BLOCK)


class BundleSource(Protocol):
    """Where a bundle's files are; `where` names it."""

    where: str

    def envelope(self) -> tuple[bytes, dict[str, bytes]]:
        """bundle.json's unparsed bytes, and the signatures over it: name -> bytes. All of it bounded before it is read.

        Raises LimitError for a larger or more of them.
        """

    def files(self) -> list[str]:
        """The paths of all files, sorted; raises FormatError for anything that is no part of a bundle."""

    def open(self, path: str) -> AbstractContextManager[Region]:
        """One of `files` as a region."""


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[BundleSource]:
    """A bundle's folder or `.sealift` file; raises MissingError, FormatError for anything else."""
    if path.is_dir():
        with os_errors(path):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield FolderSource(fd, str(path))
        finally:
            os.close(fd)
    else:
        with open_region(path) as region:
            yield PackedSource(region)


def read_index_bytes(region: Region) -> bytes:
    """bundle.json's bytes, once its size is known to be bearable."""
    if region.size > MAX_INDEX:
        raise LimitError("bundle index too large", where=region.where, got=f"{region.size} bytes", want=MAX_INDEX)
    return region.read(0, region.size)


def _add_signature(signatures: dict[str, bytes], name: str, region: Region) -> None:
    limit = envelope.MAX_MESSAGE if names.is_envelope(name) else blob.MAX_SIG
    if region.size > limit:
        raise LimitError("signature too large", where=region.where, got=f"{region.size} bytes", want=f"<= {limit}")
    if len(signatures) == names.MAX_SIGNATURES:
        raise LimitError("too many signatures", where=region.where, want=f"<= {names.MAX_SIGNATURES}")
    if name in signatures:
        raise FormatError("a signature twice", where=region.where)
    signatures[name] = region.read(0, region.size)


class FolderSource:
    """A bundle's folder, read below one directory descriptor: symlinks in it are refused, not followed."""

    def __init__(self, fd: int, where: str) -> None:
        """`fd`: the open folder; it stays the caller's."""
        self._fd = fd
        self.where = where

    def envelope(self) -> tuple[bytes, dict[str, bytes]]:
        """See BundleSource."""
        with self.open(INDEX_NAME) as region:
            data = read_index_bytes(region)
        signatures: dict[str, bytes] = {}
        for name in sorted(filter(names.is_index_signature, os.listdir(self._fd))):
            with self.open(name) as region:
                _add_signature(signatures, name, region)
        return data, signatures

    def files(self) -> list[str]:
        """See BundleSource."""
        found: list[str] = []
        with os_errors(self.where):
            self._walk(self._fd, "", found, 0)
        return sorted(found)

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[Region]:
        """See BundleSource. Every folder on the way is opened without following symlinks."""
        *folders, name = path.split("/")
        with contextlib.ExitStack() as stack:
            fd = self._fd
            for folder in folders:
                fd = stack.enter_context(self._folder(fd, folder))
            where = f"{self.where}/{path}"
            yield stack.enter_context(open_region(name, where=where, dir_fd=fd, follow=False))

    def _walk(self, fd: int, prefix: str, found: list[str], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise LimitError("folders nested too deeply", where=f"{self.where}/{prefix}")
        names = sorted(os.listdir(fd))
        if not names and prefix:
            found.append(prefix)  # `lists/`: no index lists that, and a file missing from it is told first
        for name in names:
            path = prefix + name
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                with self._folder(fd, name) as child:
                    self._walk(child, f"{path}/", found, depth + 1)
            elif stat.S_ISREG(mode):
                found.append(path)
            else:
                kind = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
                raise FormatError(f"{kind} is no part of a bundle", where=f"{self.where}/{path}")
            if len(found) > MAX_FILES:
                raise LimitError("too many files in a bundle", where=self.where, want=f"<= {MAX_FILES}")

    @contextlib.contextmanager
    def _folder(self, fd: int, name: str) -> Iterator[int]:
        try:
            child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        except FileNotFoundError as exc:
            raise MissingError("no such folder", where=f"{self.where}/{name}") from exc
        except OSError as exc:
            raise FormatError(f"not a folder: {exc.strerror}", where=f"{self.where}/{name}") from exc
        try:
            yield child
        finally:
            os.close(child)


class PackedSource:
    """A `.sealift` file: a tar exactly as `pack` writes it, members found by their offsets."""

    def __init__(self, region: Region) -> None:
        """`region`: the whole file."""
        self._region = region
        self.where = region.where
        self._places: dict[str, tuple[int, int]] = {}
        self._mtime: int | None = None

    def envelope(self) -> tuple[bytes, dict[str, bytes]]:
        """See BundleSource. The first members are looked at, no others."""
        first, at = self._member(0)
        if first is None or first.name != INDEX_NAME:
            raise FormatError("not a packed bundle", where=self.where, got=first.name if first else "", want=INDEX_NAME)
        data = read_index_bytes(self._region.part(ustar.BLOCK, first.size, f"{self.where}: {INDEX_NAME}"))
        signatures: dict[str, bytes] = {}
        while True:
            start = at + ustar.BLOCK
            header, at = self._member(at)
            if header is None or not names.is_index_signature(header.name):
                return data, signatures
            part = self._region.part(start, header.size, f"{self.where}: {header.name}")
            _add_signature(signatures, header.name, part)

    def files(self) -> list[str]:
        """See BundleSource. Checks every header, padding and the end of the file."""
        names: list[str] = []
        at = 0
        while True:
            header, after = self._member(at)
            if header is None:
                break
            self._places[header.name] = (at + ustar.BLOCK, header.size)
            names.append(header.name)
            at = after
            if len(names) > MAX_FILES:
                raise LimitError("too many files in a bundle", where=self.where, want=f"<= {MAX_FILES}")
        if at + len(_END) != self._region.size or self._region.read(at, len(_END)) != _END:
            got, want = f"{self._region.size} bytes", f"{at + len(_END)} bytes"
            raise FormatError("the file does not end after two zero blocks", where=self.where, got=got, want=want)
        if names != packed_order(names):
            raise FormatError("members twice or in another order than pack writes", where=self.where)
        return sorted(names)

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[Region]:
        """See BundleSource."""
        if path not in self._places:
            raise MissingError("no such file", where=f"{self.where}: {path}")
        offset, size = self._places[path]
        yield self._region.part(offset, size, f"{self.where}: {path}")

    def _member(self, at: int) -> tuple[ustar.Header | None, int]:
        """The header at `at` and where the next one is; None at a block of zeros."""
        block = self._region.read(at, ustar.BLOCK)
        if not any(block):
            return None, at
        with located(f"{self.where}: byte {at}"):
            header = ustar.parse(block)
            self._mtime = header.mtime if self._mtime is None else self._mtime
            if block != packed_header(header.name, header.size, self._mtime):
                raise FormatError("not a header that pack writes", where=header.name)
        end = at + ustar.BLOCK + header.size
        if any(self._region.read(end, ustar.padding(header.size))):
            raise FormatError("padding is not zero", where=f"{self.where}: {header.name}")
        return header, end + ustar.padding(header.size)


def packed_header(name: str, size: int, mtime: int) -> bytes:
    """The header of a member of a `.sealift` file; `size` in bytes, `mtime` in seconds since the epoch."""
    return ustar.encode(ustar.Header(name=name, mode=_MODE, size=size, mtime=mtime))


def packed_order(paths: list[str]) -> list[str]:
    """bundle.json, the signatures over it, signed statements, then the rest; each group by name, each file once."""

    def place(path: str) -> tuple[int, str]:
        kinds = (path == INDEX_NAME, names.is_index_signature(path), names.is_attestation(path), True)
        return kinds.index(True), path

    return sorted(set(paths), key=place)
