"""How long steps took on this machine: for the plan's estimates and for the summary, kept beside the store's content.

No identity and no byte depends on it. The longest run of a step in a store counts as the cold one: compiler caches were
emptiest then. Not simply the first: that may have found the caches of another recipe, and a new compiler finds none.
Times are wall-clock, whatever else the machine did.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.store import Store
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.files import make_folders, write_atomic

LEAST: Final = 1.0  # seconds: what is faster is not worth a file


@dataclass(frozen=True, kw_only=True, slots=True)
class Took:
    """Milliseconds of a step's longest run in this store, and of its last."""

    cold: int
    last: int

    @property
    def words(self) -> str:
        """`53 s`, or `12 s, cold 193 s`."""
        last, cold = round(self.last / 1000), round(self.cold / 1000)
        return f"{last} s" if last == cold else f"{last} s, cold {cold} s"


class Times:
    """The notes of one store, by the names of steps."""

    def __init__(self, store: Store) -> None:
        """They lie in the store's `times/`."""
        self._folder = store.root / "times"

    def of(self, steps: Iterable[str]) -> Mapping[str, Took]:
        """Steps -> what is known of them."""
        return {step: found for step in steps if (found := self._read(step)) is not None}

    def note(self, step: str, seconds: float) -> None:
        """Remembers a run; a store that cannot be written remembers nothing, and no build fails for it."""
        if seconds < LEAST:
            return
        last = round(seconds * 1000)
        before = self._read(step)
        document = {"cold": max(before.cold, last) if before else last, "last": last, "step": step}
        with contextlib.suppress(SealiftError):
            make_folders(self._folder)
            write_atomic(self._path(step), jsontext.encode_canonical(document))

    def _read(self, step: str) -> Took | None:
        try:
            said = jsontext.decode_plain(self._path(step).read_bytes(), where=step)
            return Took(cold=int(said["cold"]), last=int(said["last"]))
        except (OSError, FormatError, KeyError, TypeError, ValueError):
            return None

    def _path(self, step: str) -> Path:
        return self._folder / f"{Digest.of(step.encode()).hex[:32]}.json"
