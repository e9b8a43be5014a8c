"""A blob as an iterator: the client puts bytes somewhere, who unpacks them wants to be given the next ones."""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Final

from bundles.errors import SealiftError
from bundles.registry.protocol import Write
from bundles.registry.wire import Check

_WAITING: Final = 16  # pieces, some hundred kilobytes each, that are fetched ahead
_SLICE: Final = 0.2  # seconds until a fetch that nobody wants any more notices
_LEAVE: Final = 5.0  # seconds that are waited for it

Fetch = Callable[[Write, Check], None]


class _Unwanted(Exception):
    """The reader has gone."""


class _Pipe:
    """Between the thread that fetches and the one that reads."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_WAITING)
        self._gone = threading.Event()
        self._given = 0  # bytes that the reader has, or will have

    def write(self, data: bytes, offset: int) -> None:
        """Bytes that were given already and come once more, from another place, are left out: the digest judges."""
        if offset > self._given:
            raise SealiftError("a blob with a hole in it")
        if fresh := data[self._given - offset :]:
            self._given += len(fresh)
            self.put(fresh)

    def put(self, item: bytes | BaseException | None) -> None:
        while True:
            self.check()
            with contextlib.suppress(queue.Full):
                return self._queue.put(item, timeout=_SLICE)

    def check(self) -> None:
        if self._gone.is_set():
            raise _Unwanted

    def leave(self) -> None:
        self._gone.set()

    def pieces(self) -> Iterator[bytes]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item


@contextlib.contextmanager
def streamed(fetch: Fetch) -> Iterator[Iterator[bytes]]:
    """The bytes that `fetch` writes, in order, while the block is open; its error is raised where they would end.

    What was read before the iterator came to its end is not checked yet: the end says that it was right.
    """
    pipe = _Pipe()

    def work() -> None:
        with contextlib.suppress(_Unwanted):
            try:
                fetch(pipe.write, pipe.check)
            except _Unwanted:
                raise
            except BaseException as exc:
                pipe.put(exc)
            else:
                pipe.put(None)

    thread = threading.Thread(target=work, name="blob", daemon=True)
    thread.start()
    try:
        yield pipe.pieces()
    finally:
        pipe.leave()
        thread.join(_LEAVE)
