"""The file door: how bytes get a final name.

Temp beside the target, hash while writing, fsync, rename, fsync the directory. A crash leaves the old file or the new
one, never half of one, and at worst a `.sealift-*` temp file that the next run may remove.
"""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bundles.digest import Digest
from bundles.errors import SealiftError

TEMP_PREFIX = ".sealift-"


class HashingWriter:
    """A binary writer that hashes what passes: `digest` and `size` (bytes) are those of all written so far."""

    def __init__(self, file: BinaryIO) -> None:
        """Takes an open binary file."""
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Writes and hashes all of `data`."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> Digest:
        """The digest of all written so far."""
        return Digest(self._hash.hexdigest())


def temp_name(target: Path) -> Path:
    """A fresh name beside `target`, hidden and recognisable."""
    return target.with_name(f"{TEMP_PREFIX}{target.name}.{secrets.token_hex(6)}")


@contextlib.contextmanager
def atomic_writer(target: Path, *, mode: int = 0o644) -> Iterator[HashingWriter]:
    """Yields a writer; when the block ends without an exception the bytes get their name, else nothing is left.

    `mode` is octal and exact (the umask does not count). OSErrors become SealiftErrors that name the target.
    """
    temp = temp_name(target)
    try:
        with os_errors(target):
            fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            yield HashingWriter(file)
            with os_errors(target):
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
        with os_errors(target):
            os.rename(temp, target)
            fsync_directory(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise


def write_atomic(target: Path, data: bytes, *, mode: int = 0o644) -> Digest:
    """Writes a whole file atomically and durably; returns its digest."""
    with atomic_writer(target, mode=mode) as writer, os_errors(target):
        writer.write(data)
    return writer.digest


def atomic_symlink(link: Path, destination: str) -> None:
    """Makes or replaces a symlink by rename; a directory of that name is an error, never removed."""
    temp = temp_name(link)
    with os_errors(link):
        os.symlink(destination, temp)
        try:
            os.rename(temp, link)
        except OSError:
            os.unlink(temp)
            raise
        fsync_directory(link.parent)


def fsync_directory(folder: Path) -> None:
    """Makes names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folders(path: Path) -> None:
    """Makes a folder and those above it that are missing, durably; modes are the umask's. Others may do the same.

    A file is only as durable as the name of every folder above it. Raises SealiftError.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_folders(path.parent)
    with os_errors(path):
        path.mkdir(exist_ok=True)
        fsync_directory(path.parent)


def fsync_tree(folder: Path) -> None:
    """Makes every regular file and directory below `folder` durable, children first; symlinks are not followed."""
    for path, _, names in os.walk(folder, topdown=False):
        for name in names:
            entry = os.path.join(path, name)
            if os.path.isfile(entry) and not os.path.islink(entry):
                fd = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
        fsync_directory(Path(path))


def pwrite_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """`pwrite` until all bytes are written at `offset`."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count


@contextlib.contextmanager
def os_errors(where: object) -> Iterator[None]:
    """Turns OSErrors into SealiftErrors that name `where`, with a hint for a full disk and missing rights."""
    try:
        yield
    except OSError as exc:
        hints = {
            errno.ENOSPC: "free some space and run the same command again: finished work is kept",
            errno.EDQUOT: "the disk quota is used up",
            errno.EROFS: "the filesystem is read-only",
            errno.EACCES: "check the permissions",
        }
        text = exc.strerror or str(exc)
        raise SealiftError(text, where=where, hint=hints.get(exc.errno or 0, "")) from exc
