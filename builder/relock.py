"""The lock of a recipe's folder, as it is or made anew: what `sealift lock` and `sealift build --lock` begin with."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.lock.difference import difference
from builder.lock.model import Lock
from builder.lock.text import read_lock
from builder.recipe.model import Recipe
from builder.recipe.read import LOCK, read_recipe
from builder.resolve import ResolveOptions, resolve, write


@dataclass(frozen=True, kw_only=True, slots=True)
class Relocked:
    """The recipe with its lock of now; `changes` in words, none when it stayed."""

    recipe: Recipe
    lock: Lock
    changes: Sequence[str]


def relock(folder: Path, options: ResolveOptions) -> Relocked:
    """Resolves the recipe of a folder and writes its lock; with `options.refresh` it looks only, and writes nothing.

    Raises what `resolve` raises. Ctrl-C ends what runs.
    """
    recipe = read_recipe(folder)
    old = read_lock(folder) if (folder / LOCK).exists() else None
    # The store's lock: a build that starts now must not tidy our folders away.
    with options.cancel.on_failure(), options.store.lock():
        resolution = resolve(recipe, old, options)
    if not options.refresh:
        write(resolution, folder)
    new = resolution.lock
    if old is None:
        changes = ["there is no lock yet"] if options.refresh else ["written anew"]
    else:  # A drift is content; the time of looking is none.
        changes = difference(old, dataclasses.replace(new, epoch=old.epoch) if options.refresh else new)
    return Relocked(recipe=recipe, lock=new, changes=changes)
