"""How long learners have made no progress: k3s removes one after five minutes without. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Progress:
    """The index a learner had applied, None before it first answered, and since when (seconds)."""

    applied: int | None
    since: float


Watched = Mapping[str, Progress]  # by the member's identity


def watch(before: Watched, now: float, applied: Mapping[str, int | None]) -> Watched:
    """What was seen of the learners there are, with what is seen `now`; `applied` None: it does not answer."""
    found = {}
    for member, index in applied.items():
        known = before.get(member)
        moved = known is None or (index is not None and index != known.applied)
        found[member] = Progress(index, now) if moved or known is None else known
    return found


def stuck(watched: Watched, now: float) -> Iterable[str]:
    """The learners that are to be removed."""
    return tuple(member for member, progress in watched.items() if now - progress.since >= PATIENCE)
