"""Disk space: how much a plan wants, asked before anything is begun."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from builder.plan.graph import Plan
from builder.steps.layer import framed_layer
from builder.store import Store
from bundles.errors import SealiftError
from bundles.talk import human_bytes

_SLACK = 100_000_000  # bytes free beside what is planned


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Bytes that a plan will add to the store, and that its archives take below the output."""

    store: int
    output: int


def estimate(plan: Plan, store: Store) -> Space:
    """Finished layers count with their size, others with the guess of their step."""
    output = 0
    for row in plan.rows.values():
        if row.step.kind == "layer":
            receipt = store.receipt(row.id) if row.cached else None
            output += framed_layer(receipt).size if receipt else row.step.size
    return Space(store=plan.size, output=output)


def check_space(space: Space, store: Path, output: Path) -> None:
    """Raises SealiftError when the filesystems of the store and of the output cannot take it."""
    places = ((store, space.store), (_existing(output), space.output))
    wanted: dict[int, int] = {}  # by filesystem: both may be on one
    for place, size in places:
        device = os.stat(place).st_dev
        wanted[device] = wanted.get(device, 0) + size
    for place, _ in places:
        want, free = wanted[os.stat(place).st_dev] + _SLACK, shutil.disk_usage(place).free
        if free < want:
            raise SealiftError(
                "not enough disk space for this plan",
                where=place,
                got=f"{human_bytes(free)} free",
                want=f"about {human_bytes(want)}",
                hint="free some space, or choose another place with --output or --store",
            )


def _existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
