"""Bodies under numbers in a hidden directory, and the finished tree made of them, all by directory descriptors.

No name of an archive is used before the whole tree is known, checked and free of links on the way; then each name is
a single component below a directory this module has just made, and nothing that exists is ever opened or replaced.
"""

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import UsageError
from bundles.extraction.flush import Flusher
from bundles.extraction.tree import File, Folder, Link
from bundles.files import TEMP_PREFIX, os_errors

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LARGE: Final = 1 << 20  # bytes from which a body is worth a flush of its own
_HEAD: Final = 64  # bytes of a body kept for a look at its ELF header


class BodySpool:
    """Numbered bodies in one hidden directory (`fd`)."""

    def __init__(self, fd: int, flusher: Flusher, where: Path) -> None:
        """Takes the open, empty directory, and what errors call it."""
        self._fd, self._flusher, self._where = fd, flusher, where
        self._count = 0
        self._lock = threading.Lock()

    def store(self, pieces: Iterable[bytes | memoryview], size: int, mode: int) -> File:
        """Writes and hashes one body, for several threads; see `changes.Spool`."""
        with self._lock:
            number = self._count
            self._count += 1
        with os_errors(self._where):
            fd = os.open(str(number), _FILE_FLAGS, 0o600, dir_fd=self._fd)
            try:
                digest, head = _write_hashed(fd, pieces)
                os.fchmod(fd, mode)
                if size >= _LARGE:
                    self._flusher.take(os.dup(fd))
            finally:
                os.close(fd)
        return File(number=number, digest=digest, size=size, mode=mode, head=head)

    def settle(self) -> None:
        """Waits for what is on its way to the disk. OSErrors pass."""
        self._flusher.settle()

    def place(self, folder: Folder, fd: int) -> None:
        """Makes all of `folder` in the open, empty directory `fd`. OSErrors pass."""
        for name, node in sorted(folder.children.items()):
            if isinstance(node, File):
                # A link fails where anything exists; a rename would replace it.
                os.link(str(node.number), name, src_dir_fd=self._fd, dst_dir_fd=fd, follow_symlinks=False)
            elif isinstance(node, Link):
                os.symlink(node.target, name, dir_fd=fd)
            else:
                os.mkdir(name, 0o700, dir_fd=fd)
                with _opened(name, fd) as inner:
                    os.fchmod(inner, 0o755)
                    self.place(node, inner)

    def remove_all(self) -> None:
        """Removes the numbers; placed bodies keep their names."""
        for number in range(self._count):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(str(number), dir_fd=self._fd)


@contextlib.contextmanager
def body_spool(beside: Path) -> Iterator[BodySpool]:
    """A spool in a hidden directory in the same directory as `beside`; gone at the end, also after an error."""
    name = f"{TEMP_PREFIX}bodies.{secrets.token_hex(6)}"
    with os_errors(beside.parent):
        parent = os.open(beside.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os_errors(beside.parent):
            os.mkdir(name, 0o700, dir_fd=parent)
        try:
            with _opened(name, parent) as fd, contextlib.closing(Flusher()) as flusher:
                spool = BodySpool(fd, flusher, beside.parent)
                try:
                    yield spool
                except BaseException:
                    with contextlib.suppress(OSError):  # not in place of the error: the next run sweeps
                        spool.remove_all()
                    raise
                with os_errors(beside.parent):
                    spool.remove_all()
        except BaseException:
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=parent)
            raise
        with os_errors(beside.parent):
            os.rmdir(name, dir_fd=parent)
    finally:
        os.close(parent)


@contextlib.contextmanager
def empty_folder(path: Path) -> Iterator[int]:
    """Makes `path` (mode 0755) or takes the empty directory it is; yields its descriptor. Raises UsageError."""
    with os_errors(path):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o755)
        fd = os.open(path, _FOLDER_FLAGS)
    try:
        with os_errors(path):
            if os.listdir(fd):
                raise UsageError("extraction needs an empty directory", where=path)
            os.fchmod(fd, 0o755)
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _opened(name: str, fd: int) -> Iterator[int]:
    inner = os.open(name, _FOLDER_FLAGS, dir_fd=fd)
    try:
        yield inner
    finally:
        os.close(inner)


def _write_hashed(fd: int, pieces: Iterable[bytes | memoryview]) -> tuple[Digest, bytes]:
    """Writes a body and returns its digest and first bytes; each piece is hashed while the cache still has it."""
    found, head = hashlib.sha256(), b""
    for piece in pieces:
        if len(head) < _HEAD:
            head += bytes(piece[: _HEAD - len(head)])
        found.update(piece)
        _write(fd, piece)
    return Digest(found.hexdigest()), head


def _write(fd: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
