"""What is true of a node since when: one-way latches.

A condition says "this was reached in this run of the daemon", with its time and reason. It never goes back: what
happens to a program later is told by its stage. Pure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """Reached: `since` in seconds on the daemon's clock, `reason` in words."""

    name: str
    since: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Conditions:
    """All that was reached, in the order in which it was."""

    reached: tuple[Condition, ...] = ()

    def __contains__(self, name: object) -> bool:
        return any(condition.name == name for condition in self.reached)

    def __iter__(self) -> Iterator[Condition]:
        return iter(self.reached)

    def get(self, name: str) -> Condition | None:
        """The condition of that name, if it was reached."""
        return next((condition for condition in self.reached if condition.name == name), None)

    def latch(self, name: str, since: float, reason: str = "") -> "Conditions":
        """With `name` reached; what was reached before keeps its first time and reason."""
        if name in self:
            return self
        return replace(self, reached=(*self.reached, Condition(name=name, since=since, reason=reason)))

    def have(self, names: Iterable[str]) -> bool:
        """Whether all of `names` were reached."""
        return all(name in self for name in names)
