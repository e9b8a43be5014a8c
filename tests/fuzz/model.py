"""What a fuzz target is, and the contract that all of them hold their readers to.

Any bytes -> either a value or a SealiftError that can be shown: never another exception, never a hang, never memory
that grows with what the bytes claim. Where the format is canonical, what was taken is written again the same.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

from bundles.errors import SealiftError

P = ParamSpec("P")
T = TypeVar("T")
PACKAGES: Final = ("bundles", "builder", "runtime")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One program to fuzz.

    Args:
        read: takes one input; returns whether it was taken, raises for a broken promise.
        seeds: inputs to begin with, made by code: good ones, and the attacks that the tests know.
        least: executions per second below which a run proves nothing; a tenth of what a slow machine does.
        largest: bytes of an input; what the readers bound is claimed by headers, not carried by the input.
        packages: what is instrumented for coverage.
    """

    read: Callable[[bytes], bool]
    seeds: Callable[[], Iterable[bytes]]
    least: float
    largest: int = 64 << 10
    packages: tuple[str, ...] = PACKAGES


def taken(read: Callable[P, T], *args: P.args, **words: P.kwargs) -> T | None:
    """The value that a reader gives, None where it refuses; its words must be fit for a terminal and for JSON."""
    try:
        return read(*args, **words)
    except SealiftError as exc:
        text = str(exc)
        assert text, "an error without words"
        text.encode()
        unfit = sorted({char for char in text if (char < " " and char != "\n") or "\x7f" <= char < "\xa0"})
        assert not unfit, f"an error with control characters {unfit} in it: {text!r}"
        return None
