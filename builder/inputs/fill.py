"""`sealift fetch`: a lock's inputs into the store, and from there into an input archive."""

from dataclasses import dataclass
from pathlib import Path

from builder.build import Sources
from builder.fetch import FetchOptions, fetch
from builder.inputs.gather import gather
from builder.inputs.recipetar import recipe_tar
from builder.inputs.write import Target, Written, write_inputs
from builder.sources.verified import Verified


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """`names` of what the store lacked; what was `written`, with an archive."""

    names: tuple[str, ...]
    written: Written | None = None


def fill(sources: Sources, target: Path | None, options: FetchOptions, jobs: int = 4) -> Fetched:
    """Brings all that a lock names into the store, and into the archive `target`; raises what both raise."""
    recipe, lock = sources.recipe, sources.lock
    with options.store.lock():  # a build that starts now must not tidy our folders away
        names = fetch(recipe, lock, options)
        if target is None:
            return Fetched(names=names)
        options.say(f"writing {target}")
        gathered = gather(recipe, lock, options)
        tar = recipe_tar([recipe.folder, *([recipe.base] if recipe.base is not None else [])])
        writing = Target(
            folder=target, verified=Verified(options.store), say=options.say, cancel=options.cancel, jobs=jobs
        )
        written = write_inputs(lock.bundle, sources.digest, tar, gathered, writing)
    return Fetched(names=names, written=written)
