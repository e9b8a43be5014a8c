"""What a derived recipe's lock takes from its base's: every pin of the same source, and the epoch.

So whatever is alike in both recipes has the same content ids and bytes, and is fetched and built once.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from builder.lock.fresh import is_pinned
from builder.lock.images import LockedImage
from builder.lock.model import Lock, LockedChart, LockedInput, LockedTool
from builder.lock.text import read_lock
from builder.lock.witnessed import is_same
from builder.mirror import locking
from builder.recipe.fetched import PublishedChart
from builder.recipe.model import Recipe
from builder.recipe.read import LOCK
from builder.recipe.taken import MirrorImage


def base_lock(base: Path | None) -> Lock | None:
    """The folder of a recipe's base -> its lock; None without a base, or when the base is not locked."""
    return read_lock(base) if base is not None and (base / LOCK).exists() else None


def with_base(recipe: Recipe, old: Lock | None, base: Lock | None) -> Lock | None:
    """A recipe, its old lock and its base's -> what its new lock may go on from; the base's pins come first.

    What has another source than the base's keeps what the old lock says.
    """
    if base is None:
        return old
    if old is None:
        return base
    return replace(
        old,
        epoch=base.epoch,
        tools=_tools(old, base),
        buildroot=_root(old, base),
        inputs=tuple(each for name in recipe.components for each in _inputs(recipe, name, old, base)),
        charts=tuple(_charts(recipe, old, base)),
        images=tuple(_images(recipe, old, base)),
    )


def _inputs(recipe: Recipe, name: str, old: Lock, base: Lock) -> tuple[LockedInput, ...]:
    found = base.of(name)
    return found if is_pinned(recipe.components[name], found) else old.of(name)


def _root(old: Lock, base: Lock) -> tuple[LockedInput, ...]:
    """The base's, and groups that only the other one needs, while they were found beside these same packages."""
    known = {each.component for each in base.buildroot}
    if any(each not in base.buildroot for each in old.buildroot if each.component in known):
        return base.buildroot
    return (*base.buildroot, *(each for each in old.buildroot if each.component not in known))


def _tools(old: Lock, base: Lock) -> tuple[LockedTool, ...]:
    known = {tool.source for tool in base.tools}
    return (*base.tools, *(tool for tool in old.tools if tool.source not in known))


def _charts(recipe: Recipe, old: Lock, base: Lock) -> Iterator[LockedChart]:
    mine, theirs = ({chart.name: chart for chart in lock.charts} for lock in (old, base))
    for name, chart in recipe.charts.items():
        if isinstance(chart, PublishedChart) and name in theirs and is_same(chart, theirs[name]):
            yield theirs[name]
        elif name in mine:
            yield mine[name]


def _images(recipe: Recipe, old: Lock, base: Lock) -> Iterator[LockedImage]:
    mine, theirs = ({image.image: image for image in lock.images} for lock in (old, base))
    for name, image in recipe.images.items():
        platform = str(recipe.platforms[0])
        if isinstance(image, MirrorImage) and locking.is_pinned(image, theirs.get(name), platform):
            yield theirs[name]
        elif name in mine:
            yield mine[name]
