"""What all layers of an image have cost together, counted by the threads that read them."""

import threading
from collections.abc import Iterator

from bundles.errors import LimitError
from bundles.extraction.model import Limits


class Spent:
    """Counts members and bytes of content against the image's limits."""

    def __init__(self, limits: Limits, where: str) -> None:
        """`where` names the image's archive: which layer is one too many depends on the others."""
        self._limits, self._where = limits, where
        self._lock = threading.Lock()
        self._members = self._content = 0

    def member(self) -> None:
        """One more member; raises LimitError."""
        with self._lock:
            self._members += 1
            if self._members > self._limits.members:
                raise LimitError("too many members", where=self._where, want=f"<= {self._limits.members}")

    def passing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Passes pieces of content on; raises LimitError."""
        for piece in pieces:
            with self._lock:
                self._content += len(piece)
                if self._content > self._limits.content:
                    raise LimitError("unpacks to too much", where=self._where, want=f"<= {self._limits.content} bytes")
            yield piece
