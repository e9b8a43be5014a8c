"""What a bench prints: figures beside the bound they have to reach."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One row of the table.

    `value` is what is judged, in `unit` ("x" is a ratio of two things measured in the same run, side by side);
    `reach` and `bound` say what it has to be; `ours` and `theirs` are the two sides in words ("2.31 s", "48.6 s"),
    `theirs` empty where the bound is absolute. `note` says how it was measured where the row's name does not.
    """

    what: str
    value: float
    unit: Literal["x", "s", "MB", "%"]
    reach: Literal["<=", ">="]
    bound: float
    ours: str
    theirs: str = ""
    note: str = ""

    @property
    def met(self) -> bool:
        """True when the value reaches its bound."""
        return self.value <= self.bound if self.reach == "<=" else self.value >= self.bound


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One run of a command: wall and CPU time in seconds (children it waited for included), peak memory in bytes.

    `written_bytes`: pages of files that it dirtied, as the kernel counts them on filesystems of a disk.

    The peak is the largest resident set of the process or of one of the children it waited for, as wait4(2) tells it.
    It cannot be below the resident set of the bench itself (about 30 MB): the kernel counts from fork(2) on.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    written_bytes: int = 0


def fastest(samples: list[Sample]) -> Sample:
    """The sample with the least wall time: what the work costs when nothing else disturbs it."""
    return min(samples, key=lambda sample: sample.seconds)
