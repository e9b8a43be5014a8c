"""The mirrored images of a recipe -> what the lock pins of them; several at once, what is pinned already stays."""

from collections.abc import Callable, Mapping
from typing import Final

from builder.lock.images import LockedImage
from builder.lock.imagetext import MIRROR
from builder.lock.model import Lock
from builder.mirror.remote import resolve_image
from builder.process import Cancel
from builder.reach import Reach
from builder.recipe.model import Recipe
from builder.recipe.taken import MirrorImage
from builder.store import Store
from bundles.crew import Crew, Seat

WORKERS: Final = 16  # as many as a registry client has connections to one host: documents are small, the way is long


def lock_mirrored(
    recipe: Recipe, old: Lock | None, store: Store, reach: Reach, env: Mapping[str, str], cancel: Cancel,
    say: Callable[[str], None], *, tags: bool = False,
) -> tuple[LockedImage, ...]:  # fmt: skip
    """All mirrored images of a recipe by the registries' answers of today, or by the old lock where it pins them.

    With `tags`, a registry is asked for each image that the recipe names by a tag, once: one whose tag still stands for
    what is pinned stays.
    """
    platform = recipe.platforms[0]
    known = {each.image: each for each in old.images} if old is not None else {}
    images = [image for image in recipe.images.values() if isinstance(image, MirrorImage)]
    pinned = {each.name: known[each.name] for each in images if is_pinned(each, known.get(each.name), str(platform))}
    missing = [each for each in images if each.name not in pinned or (tags and each.source.digest is None)]
    asked = {each.name for each in missing}
    kept = [pinned[each.name] for each in images if each.name not in asked]
    if not missing:
        return tuple(kept)
    say(f"locking {len(missing)} images" if len(missing) > 1 else f"locking {missing[0].source.name}")
    with reach.opened(env) as registry:

        def one(image: MirrorImage, seat: Seat) -> LockedImage:
            def check() -> None:
                seat.go_on()
                cancel.check()

            return resolve_image(registry, image, platform, batch.put, check, pinned.get(image.name))

        with store.batch() as batch:
            found = Crew(one, lambda _: 1).all(missing, WORKERS)
    return (*kept, *found)


def is_pinned(image: MirrorImage, locked: LockedImage | None, platform: str) -> bool:
    """Whether the lock's entry is of what the recipe names."""
    return locked is not None and (locked.source, locked.platform) == (f"{MIRROR}{image.source.name}", platform)
