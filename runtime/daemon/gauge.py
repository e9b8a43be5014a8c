"""What /metrics says, looked up when somebody asks, and at most every 10 s: whoever asks more often costs nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from runtime.health.gather import look
from runtime.health.metrics import metrics
from runtime.layout import NodeLayout

_EVERY: Final = 10.0  # seconds


@dataclass(slots=True)
class Gauge:
    """A server's. `clock` gives seconds that never go back, `now` epoch seconds."""

    layout: NodeLayout
    clock: Callable[[], float]
    now: Callable[[], float]
    _text: bytes = b""
    _until: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self) -> bytes:
        """The text, of this moment or of one not long ago."""
        async with self._lock:
            if self.clock() >= self._until:
                health = await look(self.layout, now=int(self.now()), node="", server=True, ask_cluster=True)
                self._text = metrics(health).encode()
                self._until = self.clock() + _EVERY
            return self._text
