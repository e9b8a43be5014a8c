"""Small helpers that let decompression, hashing and writing run beside each other: all three release the GIL."""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import Final

from bundles.digest import Digest

_WAITING: Final = 4  # pieces a hash may lag behind: memory is this times the size of a piece


class BackgroundHash:
    """sha256 on a thread of its own; `size` is in bytes. Close it, or use it in a `with` block."""

    def __init__(self) -> None:
        """Starts with nothing hashed."""
        self._hash = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._waiting: deque[Future[None]] = deque()
        self.size = 0

    def __enter__(self) -> "BackgroundHash":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the thread."""
        self._pool.shutdown(cancel_futures=True)

    def update(self, data: bytes | memoryview) -> None:
        """Hashes `data`, which must not change, soon."""
        while len(self._waiting) >= _WAITING:
            self._waiting.popleft().result()
        self.size += len(data)
        self._waiting.append(self._pool.submit(self._hash.update, data))

    def digest(self) -> Digest:
        """The digest of all so far; waits for it."""
        while self._waiting:
            self._waiting.popleft().result()
        return Digest(self._hash.hexdigest())


def tapped(pieces: Iterator[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    """Passes `pieces` on and shows each to `update`."""
    for piece in pieces:
        update(piece)
        yield piece


def ahead(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same pieces, the next one being made on another thread while the caller works on this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        future = pool.submit(next, pieces, None)
        try:
            while (piece := future.result()) is not None:
                future = pool.submit(next, pieces, None)
                yield piece
        finally:
            future.cancel()


def ahead_when(idle: Callable[[], bool], pool: Executor, pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same pieces; whenever `idle` says that a core has nothing to do, `pool` makes the next one meanwhile."""
    future: Future[bytes | None] | None = None
    try:
        while (piece := future.result() if future else next(pieces, None)) is not None:
            future = pool.submit(next, pieces, None) if idle() else None
            yield piece
    finally:
        if future and not future.cancel():
            wait((future,))
