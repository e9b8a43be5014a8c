"""Finished files go to the disk while others are still being made: what is fsynced at the end is there already."""

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

_WAITING: Final = 16  # open files


class Flusher:
    """Flushes files on a thread of its own. Close it."""

    def __init__(self) -> None:
        """Starts with nothing to do."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="flush")
        self._room = threading.BoundedSemaphore(_WAITING)
        self._flushed: list[Future[None]] = []

    def take(self, fd: int) -> None:
        """Flushes the open file `fd` soon and closes it; for several threads."""
        self._room.acquire()
        self._flushed.append(self._pool.submit(self._flush, fd))

    def settle(self) -> None:
        """Waits for all of it. Raises the OSError of a disk that fails: the kernel tells each failure only once."""
        for future in self._flushed:
            future.result()

    def close(self) -> None:
        """Ends the thread, after an error too."""
        self._pool.shutdown()

    def _flush(self, fd: int) -> None:
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
            self._room.release()
