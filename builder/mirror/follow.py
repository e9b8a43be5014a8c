"""The sha256 of a file while it is filled: hashed as far as it is whole, and flushed, while others wait for bytes."""

import hashlib
import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final

from bundles.digest import Digest
from bundles.registry.parts import PartFile, Piece

_BUFFER: Final = 1 << 19  # bytes
_FLUSH: Final = 128 << 20  # bytes: so much is handed to the disk at a time


class Stopped(Exception):
    """The filling failed: there is nothing to follow."""


class Follower:
    """Hashes a file behind those who fill it, piece by piece in the order of their places."""

    def __init__(self, part: PartFile) -> None:
        """Nothing is begun yet."""
        self._part = part
        self._pieces: Sequence[Piece] = sorted(part.plan.pieces, key=lambda piece: piece.offset)
        self._whole: set[Digest] = set()
        self._changed = threading.Condition()
        self._stopped = False
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="follow")
        self._result: Future[Digest] | None = None
        self._flushes: list[Future[None]] = []

    def __enter__(self) -> "Follower":
        """Begins."""
        self._result = self._pool.submit(self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it; where filling failed, at once."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._pool.shutdown(wait=True)

    def whole(self, piece: Piece) -> None:
        """A piece is there, checked."""
        with self._changed:
            self._whole.add(piece.digest)
            self._changed.notify_all()

    def sha256(self) -> Digest:
        """Of all of the file, once every piece is there; raises OSError, FormatError."""
        assert self._result is not None  # within the block
        return self._result.result()

    def flushed(self) -> None:
        """Returns when what was handed to the disk is there; raises OSError. To be called after `sha256`."""
        for each in self._flushes:
            each.result()

    def _run(self) -> Digest:
        found, at, flushed, buffer = hashlib.sha256(), 0, 0, bytearray(_BUFFER)
        for end in itertools.chain(map(self._await, self._pieces), [self._part.plan.size]):  # not all at first
            for data in self._part.read(at, end - at, buffer):
                found.update(data)
            at = end
            if at - flushed >= _FLUSH and all(each.done() for each in self._flushes):
                self._flushes.append(self._pool.submit(self._part.flush))
                flushed = at
        return Digest(found.hexdigest())

    def _await(self, piece: Piece) -> int:
        """Waits for a piece; returns where it ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or piece.digest in self._whole)
            if piece.digest not in self._whole:
                raise Stopped
        return piece.offset + piece.size
