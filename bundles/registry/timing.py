"""Clock, sleep and chance, as the caller passes them in."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_SLICE: Final = 0.2  # seconds until a called-off thread notices


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """`monotonic` and `wall` (since the epoch) give seconds, `sleep` takes them, `jitter` gives 0 to 1."""

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]

    def pause(self, seconds: float, check: Callable[[], None]) -> None:
        """Sleeps in slices; `check` is called before each, and raises when the work was called off."""
        while seconds > 0:
            check()
            self.sleep(min(seconds, _SLICE))
            seconds -= _SLICE
        check()


def real_timing() -> Timing:
    """The machine's own."""
    return Timing(monotonic=time.monotonic, wall=time.time, sleep=time.sleep, jitter=random.random)
