"""A stretch of an open file that is read by position, at most once, and copied as it is read.

Checks and copies must be of the same bytes: a file that changes between two reads (another process, a failing disk)
could pass the check with one content and be kept with another. So a reader takes every byte from here once, hashes
what it got, and what it got is what the copy holds.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bundles.errors import FormatError, MissingError
from bundles.files import os_errors, pwrite_all

CHUNK: Final = 1 << 18  # bytes: large enough that hashing costs more than the call, and it fits a core's cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """`size` bytes of the file `fd` from `start` on; `where` names them in errors.

    `copy_fd`: an open file that gets every byte that is read, at its offset within this region; errors call it
    `copy_where`.
    """

    fd: int
    start: int
    size: int
    where: str
    copy_fd: int | None = None
    copy_where: object = ""

    def read(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes from `offset` within the region; FormatError where the file or region ends sooner."""
        if offset < 0 or count < 0 or offset + count > self.size:
            raise FormatError("truncated", where=self.where, got=f"{self.size} bytes", want=f"{offset + count} bytes")
        with os_errors(self.where):
            data = os.pread(self.fd, count, self.start + offset)
        if len(data) < count:
            data = self._read_on(data, offset, count)
        self._copied(data, offset)
        return data

    def chunks(self, offset: int, count: int) -> Iterator[bytes]:
        """The same bytes in pieces of at most `CHUNK`."""
        end = offset + count
        while offset < end:
            data = self.read(offset, min(CHUNK, end - offset))
            offset += len(data)
            yield data

    def views(self, offset: int, count: int, buffer: bytearray) -> Iterator[memoryview]:
        """The same bytes in pieces of the buffer's size; each is there until the next one is asked for."""
        whole, end = memoryview(buffer), offset + count
        if offset < 0 or count < 0 or end > self.size:
            raise FormatError("truncated", where=self.where, got=f"{self.size} bytes", want=f"{end} bytes")
        while offset < end:
            with os_errors(self.where):
                got = os.preadv(self.fd, [whole[: end - offset]], self.start + offset)
            if not got:
                raise FormatError("the file became shorter while it was read", where=self.where)
            self._copied(whole[:got], offset)
            offset += got
            yield whole[:got]

    def _copied(self, data: bytes | memoryview, offset: int) -> None:
        if self.copy_fd is not None:
            with os_errors(self.copy_where):
                pwrite_all(self.copy_fd, data, offset)

    def part(self, offset: int, size: int, where: str) -> "Region":
        """A region within this one, without its copy."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError("truncated", where=where, got=f"{self.size} bytes", want=f"{offset + size} bytes")
        return replace(self, start=self.start + offset, size=size, where=where, copy_fd=None)

    def copied_to(self, fd: int, where: object) -> "Region":
        """The same region, copying what is read to the open file `fd`; `where` names that in errors."""
        return replace(self, copy_fd=fd, copy_where=where)

    def _read_on(self, data: bytes, offset: int, count: int) -> bytes:
        """pread may return less than asked for (signals, 2 GiB limit); nothing at all is the end."""
        parts = [data]
        missing = count - len(data)
        while missing:
            with os_errors(self.where):
                more = os.pread(self.fd, missing, self.start + offset + count - missing)
            if not more:
                raise FormatError("the file became shorter while it was read", where=self.where)
            parts.append(more)
            missing -= len(more)
        return b"".join(parts)


@contextlib.contextmanager
def open_region(
    path: Path | str, *, where: str = "", dir_fd: int | None = None, follow: bool = True
) -> Iterator[Region]:
    """The whole of a regular file as a region.

    Raises MissingError when it is not there, FormatError for anything but a regular file; with `follow=False` also
    for a symlink. A FIFO does not block.
    """
    name = where or str(path)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        if not follow and stat.S_ISLNK(os.lstat(path, dir_fd=dir_fd).st_mode):
            raise FormatError("a symbolic link is no part of a bundle", where=name)
        fd = os.open(path, flags, dir_fd=dir_fd)
    except FileNotFoundError as exc:
        raise MissingError("no such file", where=name) from exc
    except OSError as exc:
        raise FormatError(f"cannot be opened: {exc.strerror}", where=name) from exc
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise FormatError("not a regular file", where=name)
        yield Region(fd=fd, start=0, size=info.st_size, where=name)
    finally:
        os.close(fd)
