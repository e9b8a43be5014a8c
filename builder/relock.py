"""The lock of a recipe's folder, as it is or made anew: what `sealift lock` and `sealift build --lock` begin with."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.build import Sources
from builder.lock.difference import difference
from builder.lock.fresh import check_fresh
from builder.lock.text import format_lock, read_lock
from builder.recipe.read import LOCK, read_recipe
from builder.resolve import ResolveOptions, resolve, write
from bundles.digest import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Relocked:
    """The recipe with its lock of now; `changes` in words, none when it stayed. `was`: whether there was one."""

    sources: Sources
    changes: Sequence[str]
    was: bool


def relock(folder: Path, options: ResolveOptions) -> Relocked:
    """Resolves the recipe of a folder and writes its lock; with `options.refresh` it looks only, and writes nothing.

    Raises what `resolve` raises. Ctrl-C ends what runs.
    """
    recipe = read_recipe(folder)
    old = read_lock(folder) if (folder / LOCK).exists() else None
    try:
        with options.store.lock():  # a build that starts now must not tidy our folders away
            resolution = resolve(recipe, old, options)
    except BaseException:
        options.cancel.cancel()
        raise
    if not options.refresh:
        write(resolution, folder)
    new = resolution.lock
    if old is None:
        changes = ["there is no lock yet"] if options.refresh else ["written anew"]
    else:  # A drift is content; the time of looking is none.
        changes = difference(old, dataclasses.replace(new, epoch=old.epoch) if options.refresh else new)
    sources = Sources(recipe=recipe, lock=new, digest=Digest.of(format_lock(new).encode()))
    return Relocked(sources=sources, changes=changes, was=old is not None)


def relocked_to_build(folder: Path, options: ResolveOptions) -> Relocked:
    """The same for a build that follows at once: what lies beside the recipe is looked at once more, as builds do."""
    made = relock(folder, options)
    for line in made.changes:
        options.say(f"lock: {line}")
    check_fresh(made.sources.recipe, made.sources.lock)
    return made
