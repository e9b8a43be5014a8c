"""The file door: how bytes get a final name.

Temp beside the target, hash while writing, fsync, rename, fsync the directory. A crash leaves the old file or the new
one, never half of one, and at worst a `.sealift-*` temp file. Whoever writes one holds a lock on it, which the kernel
drops with the process: so the next run can tell what was left from what is being written, and remove it.
"""

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.talk import human_bytes

Buffered = TypeVar("Buffered", io.BufferedWriter, io.BufferedRandom)
TEMP_PREFIX: Final = ".sealift-"


class HashingWriter:
    """A binary writer that hashes what passes: `digest` and `size` (bytes) are those of all written so far."""

    def __init__(self, file: BinaryIO, where: object = "") -> None:
        """Takes an open binary file, and what errors call it."""
        self._file = file
        self._where = where
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Writes and hashes all of `data`; raises SealiftError."""
        with os_errors(self._where):
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
def atomic_writer(
    target: Path, *, mode: int = 0o644, room: Path | None = None, durable: bool = True
) -> Iterator[HashingWriter]:
    """Yields a writer; when the block ends without an exception the bytes get their name, else nothing is left.

    `mode` is octal and exact (the umask does not count); `room` is another folder of the same filesystem for the
    temporary name; without `durable` a power cut may leave anything. The writer's OSErrors, and those of naming, become
    SealiftErrors that name the target.
    """
    with os_errors(target):
        temp, fd = _held_temp(temp_name(target) if room is None else room / temp_name(target).name)
    try:
        with unflushed(os.fdopen(fd, "wb")) as file:
            yield HashingWriter(file, target)
            with os_errors(target):
                file.flush()
                os.fchmod(file.fileno(), mode)
                if durable:
                    os.fsync(file.fileno())
                os.rename(temp, target)  # before the lock goes with the descriptor
                if durable:
                    fsync_directory(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp)
        raise


@contextlib.contextmanager
def unflushed(file: Buffered) -> Iterator[Buffered]:
    """Closes the file at the end of the block; after an error what is still in its buffer is not tried again.

    `close` alone would write to the full disk once more, and its error would take the place of the first.
    """
    try:
        yield file
    except BaseException:
        file.raw.close()
        raise
    finally:
        file.close()


def write_atomic(target: Path, data: bytes, *, mode: int = 0o644, room: Path | None = None) -> Digest:
    """Writes a whole file atomically and durably; returns its digest. Arguments as `atomic_writer`."""
    with atomic_writer(target, mode=mode, room=room) as writer:
        writer.write(data)
    return writer.digest


def remove_abandoned(folder: Path, name: str = "") -> None:
    """Removes temporary files in `folder` (of the target `name`, else of all) that nobody writes any more.

    Folders and links are left alone. Raises SealiftError; a missing folder is fine.
    """
    with os_errors(folder), contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.listdir(folder):
            if entry.startswith(f"{TEMP_PREFIX}{name}." if name else TEMP_PREFIX):
                remove_if_abandoned(folder / entry)


def remove_if_abandoned(temp: Path) -> None:
    """Removes a temporary file unless its writer is alive; anything but a regular file is left alone. OSErrors pass."""
    try:
        fd = os.open(temp, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        return
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            return
        raise
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode) and _locked(fd, wait=False):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temp)
    finally:
        os.close(fd)


def unlink_large(path: Path) -> None:
    """Removes a file's name now; a thread waits until the disk has taken its bytes back. OSErrors pass.

    That takes some tenths of a second for a gigabyte, which nobody needs to wait for. A crash leaves nothing behind:
    the kernel takes back what no name and no process holds (unlink(2)).
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.unlink(path)
    except OSError:
        os.close(fd)
        raise
    try:
        threading.Thread(target=os.close, args=(fd,), name="unlink").start()
    except RuntimeError:  # this machine gives no more threads: then we wait
        os.close(fd)


def _held_temp(temp: Path) -> tuple[Path, int]:
    """Makes the file and holds it; makes it again when somebody removed it before we could."""
    while True:
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        _locked(fd, wait=True)
        if os.fstat(fd).st_nlink:
            return temp, fd
        os.close(fd)


def _locked(fd: int, *, wait: bool) -> bool:
    """Whether we have the lock; False on filesystems without locks too: nothing is removed there."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


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
    with os_errors(path):
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
    """Turns OSErrors into SealiftErrors that name `where`, with a hint for those that a user can do something about."""
    try:
        yield
    except OSError as exc:
        raise os_error(exc, where) from exc


_HINTS: Final = {
    errno.ENOSPC: "free some space and run the same command again: finished work is kept",
    errno.EDQUOT: "the disk quota is used up: free some space or ask for more, then run the same command again",
    errno.EROFS: "the filesystem is read-only: mount it writable, or choose another place",
    errno.EIO: "the disk failed: look at the kernel's log (dmesg) before you trust it again",
    errno.EACCES: "check the permissions",
    errno.EPERM: "check the permissions",
    errno.EMFILE: "allow this process more open files (ulimit -n)",
    errno.ENFILE: "the machine has too many open files",
}


def os_error(error: OSError, where: object) -> SealiftError:
    """An OSError as our own, of what it happened to; a full disk says what is free there."""
    free = _free(where) if error.errno in (errno.ENOSPC, errno.EDQUOT) and isinstance(where, Path) else ""
    return SealiftError(error.strerror or str(error), where=where, got=free, hint=_HINTS.get(error.errno or 0, ""))


def _free(path: Path) -> str:
    """What the filesystem of `path` has left, in words."""
    try:
        while not path.exists() and path.parent != path:
            path = path.parent
        found = os.statvfs(path)
    except OSError:
        return ""
    if found.f_files and not found.f_favail:
        return "no free inodes: too many files"
    return f"{human_bytes(found.f_bavail * found.f_frsize)} free"
