"""Cleans a store: what the given recipes need stays, the rest can be built or fetched again."""

import os
from collections.abc import Sequence
from pathlib import Path

from builder.build import plan_build, read_sources
from builder.buildroot.keep import collect_roots, roots_of
from builder.mirror.kept import KeptArchives
from builder.store import Collected, Store
from bundles.digest import Digest
from bundles.errors import UsageError


def clean_store(store: Store, recipes: Sequence[Path]) -> Collected:
    """Keeps the finished steps and the locked packages of `recipes` (folders), removes all other content.

    Raises UsageError for no recipe, RecipeError for a wrong one, SealiftError when another process uses the store.
    """
    if not recipes:
        raise UsageError(
            "no recipe was named: everything would go",
            hint=f"name the recipes to keep, or remove the whole folder {store.root}",
        )
    steps: set[Digest] = set()
    blobs: set[Digest] = set()
    roots: set[Digest] = set()
    for folder in recipes:
        sources = read_sources(folder)
        for platform in sources.recipe.platforms:
            steps |= {row.id for row in plan_build(sources.of(platform), platform, store, os.environ).rows.values()}
        roots |= roots_of(sources.recipe, sources.lock)
        blobs |= {file.digest for locked in (*sources.lock.inputs, *sources.lock.buildroot) for file in locked.files}
        blobs |= {blob.digest for image in sources.lock.images for blob in image.blobs}
    kept = store.collect(steps, blobs)
    with store.lock(exclusive=True, wait=False):
        others = (KeptArchives(store).collect(blobs), collect_roots(store, roots))
    return Collected(files=kept.files + sum(each.files for each in others),
                     size=kept.size + sum(each.size for each in others))  # fmt: skip
