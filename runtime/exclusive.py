"""One change of a data directory at a time, across processes: flock(2) on DATA/sealift/lock.

The kernel drops the lock with its process, so a kill -9 leaves nothing to clean up.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator

from bundles.errors import SealiftError
from bundles.files import os_errors
from runtime.folders import ensure_folder
from runtime.layout import NodeLayout


@contextlib.contextmanager
def exclusive(layout: NodeLayout, say: Callable[[str], None], *, wait: bool = True) -> Iterator[None]:
    """Holds the data directory for the block; says who holds it and waits, or with `wait=False` raises SealiftError.

    Makes DATA/sealift (0755) when it is missing. Raises SealiftError when it cannot be written.
    """
    ensure_folder(layout.ours)
    with os_errors(layout.lock):
        fd = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _acquire(fd, layout, say, wait)
        with os_errors(layout.lock):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


def _acquire(fd: int, layout: NodeLayout, say: Callable[[str], None], wait: bool) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
        if not wait:
            raise SealiftError(
                "another sealift-node is at work here", where=layout.data, got=f"process {owner}"
            ) from None
        say(f"waiting: another sealift-node (process {owner}) is at work in {layout.data}")
        fcntl.flock(fd, fcntl.LOCK_EX)
