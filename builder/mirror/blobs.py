"""A blob of a registry into the store: hashed as it arrives, gone on with where an earlier try ended."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from builder.store import CHUNK, Store
from bundles.digest import Digest
from bundles.files import make_folders, os_errors, pwrite_all
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.registry.wire import Check
from bundles.talk import Progress

_PARTIAL: Final = "partial"


def bring_blob(
    registry: Registry, repository: Repository, digest: Digest, size: int, store: Store, check: Check,
    progress: Progress,
) -> None:  # fmt: skip
    """Returns when the store has the blob; raises what the registry client raises, and keeps what has arrived."""
    with _partial(store, digest) as (file, path):
        if store.has(digest, size):
            with contextlib.suppress(OSError):
                path.unlink()
            return

        def write(data: bytes, offset: int) -> None:
            pwrite_all(file.fileno(), data, offset)
            progress.advance(len(data))

        with os_errors(path):
            registry.fetch(repository, digest, size, write, check, _present(file, size))
            file.truncate(size)
        store.adopt(file, path, digest)


def _present(file: BinaryIO, size: int) -> Iterator[bytes]:
    """What an earlier try left, of any content; the client hashes it."""
    file.seek(0)
    left = size
    while left and (data := file.read(min(CHUNK, left))):
        left -= len(data)
        yield data


@contextlib.contextmanager
def _partial(store: Store, digest: Digest) -> Iterator[tuple[BinaryIO, Path]]:
    """The unfinished file of a blob, open and ours alone; it stays when the block ends with an error."""
    folder = store.sources / _PARTIAL
    make_folders(folder)
    path = folder / digest.hex
    while True:
        with os_errors(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "r+b") as file:
            fcntl.flock(fd, fcntl.LOCK_EX)  # another process may be at it: what it finishes is found afterwards
            if not path.exists() or os.stat(path).st_ino != os.fstat(fd).st_ino:
                continue
            yield file, path
            return
