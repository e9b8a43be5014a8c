"""`sealift fetch`: a lock's inputs into the store, and from there into an input archive."""

from dataclasses import dataclass
from pathlib import Path

from builder.build import Sources
from builder.fetch import FetchOptions, fetch, fetch_images
from builder.inputs.bring import bring_images
from builder.inputs.gather import gather
from builder.inputs.recipetar import recipe_tar
from builder.inputs.write import Target, Written, write_inputs
from builder.lock.model import Lock
from builder.mirror import evidence
from builder.sources.verified import Verified
from bundles.errors import MissingError


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """`names` of what the store lacked; what was `written`, with an archive."""

    names: tuple[str, ...]
    written: Written | None = None


def _images(lock: Lock, options: FetchOptions) -> tuple[str, ...]:
    """Mirrored images, and what vouches for them."""
    if options.inputs is not None:
        bring_images(options.inputs, lock, options)
    names = fetch_images(lock, options)
    lacking = [each for each in lock.images if evidence.missing(each, options.store)]
    if lacking and options.offline:
        raise MissingError("not in the store", where=", ".join(each.source for each in lacking[:10]))
    if lacking:
        with options.reach.opened(options.env) as registry:
            for each in lacking:
                evidence.bring(registry, each, options.store, options.cancel.check)
    return names


def fill(sources: Sources, target: Path | None, options: FetchOptions, jobs: int = 4) -> Fetched:
    """Brings all that a lock names into the store, and into the archive `target`; raises what both raise."""
    recipe, lock = sources.recipe, sources.lock
    with options.store.lock():  # a build that starts now must not tidy our folders away
        names: tuple[str, ...] = ()
        for platform in recipe.platforms:
            own = sources.of(platform)
            names += (*fetch(own.recipe, own.lock, options), *_images(own.lock, options))
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
