"""What changed of the images that are taken over: between two locks, and between recipe and lock. Pure."""

from collections.abc import Iterator

from builder.lock.images import LockedImage
from builder.lock.imagetext import MIRROR
from builder.lock.model import Lock
from builder.recipe.model import Recipe
from builder.recipe.taken import MirrorImage


def image_changes(old: Lock, new: Lock) -> Iterator[str]:
    """Two locks -> one line per change."""
    before, after = ({_key(each): each for each in lock.images} for lock in (old, new))
    for key in sorted(before.keys() | after.keys()):
        one, two = before.get(key), after.get(key)
        name = key[0]
        if one is None:
            yield f"image {name}: added {after[key].source}"
        elif two is None:
            yield f"image {name}: removed {one.source}"
        elif one != two:
            yield f"image {name}: {_change(one, two)}"


def _key(image: LockedImage) -> tuple[str, str]:
    return image.image, image.platform


def unlocked_images(recipe: Recipe, lock: Lock) -> Iterator[str]:
    """What is wrong with a lock's images for a recipe, a line each."""
    found = {each.image: each for each in lock.images}
    wanted = {name: image for name, image in recipe.images.items() if isinstance(image, MirrorImage)}
    for name, image in wanted.items():
        source = f"{MIRROR}{image.source.name}"
        if name not in found:
            yield f"image {name} is not in it"
        elif found[name].source != source:
            yield f"image {name}: locked {found[name].source}, the recipe wants {source}"
        elif found[name].platform not in map(str, recipe.platforms):
            yield f"image {name}: locked for {found[name].platform}"
    taken = {each.image for each in lock.images if each.source.startswith(MIRROR)}
    yield from (f"image {name} is in it, but not in the recipe" for name in sorted(taken - wanted.keys()))


def _change(one: LockedImage, two: LockedImage) -> str:
    if one.source != two.source:
        return f"{one.source} -> {two.source}"
    if one.platform != two.platform:
        return f"{one.platform} -> {two.platform}"
    if one.manifest != two.manifest:
        return f"OTHER CONTENT under the same tag {one.source}: {one.manifest.digest} -> {two.manifest.digest}"
    return f"{one.source} is listed by another index now; the platform's image is the same"
