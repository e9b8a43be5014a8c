"""A cap on what goes over the network, for all threads together: a token bucket."""

import threading
from collections.abc import Callable
from typing import Final

from bundles.errors import UsageError

_UNITS: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}


def parse_rate(text: str) -> int:
    """`500k`, `40M`, `1000000`: bytes a second, decimal units -> bytes a second; raises UsageError."""
    word = text.strip().lower().removesuffix("/s").removesuffix("b")
    digits, unit = (word[:-1], word[-1]) if word and word[-1] in _UNITS else (word, "")
    if not (digits.isascii() and digits.isdigit() and int(digits[:18]) * _UNITS[unit] > 0):
        raise UsageError("not a bandwidth", got=ascii(text[:40]), want="bytes a second: 500k, 40M, 1000000")
    return int(digits[:18]) * _UNITS[unit]


class Bucket:
    """At most `rate` bytes a second (0: no bound), and a quarter of a second's worth at once. For any thread."""

    def __init__(self, rate: int, monotonic: Callable[[], float]) -> None:
        """`monotonic` gives seconds."""
        self._rate, self._monotonic = rate, monotonic
        self._lock = threading.Lock()
        self._free_at = 0.0  # when all that was taken has passed

    def take(self, count: int) -> float:
        """Takes `count` bytes; returns the seconds to wait before they may pass."""
        if not self._rate:
            return 0.0
        with self._lock:
            now = self._monotonic()
            self._free_at = max(self._free_at, now - 0.25) + count / self._rate
            return max(0.0, self._free_at - now)
