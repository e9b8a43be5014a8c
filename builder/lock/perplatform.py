"""A lock of several platforms: what of it is for one of them. Pure.

Entries say by themselves what they are for: Debian packages by their file's name (`socat_1.7.4.4-2_arm64.deb`), what
comes out of images by `#linux/arm64`, mirrored images by their platform. Everything else is for all platforms alike.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from builder.buildroot.cross import groups_of
from builder.lock.images import LockedImage
from builder.lock.model import Lock, LockedInput
from builder.recipe.model import Recipe
from bundles.platform import Platform

_DEB: Final = re.compile(r".+_(amd64|arm64)\.deb")
_T = TypeVar("_T")


def lock_for(lock: Lock, platform: Platform) -> Lock:
    """A lock -> what it pins for one platform; its build root whole."""
    return replace(
        lock,
        inputs=tuple(each for each in lock.inputs if fits(each, platform)),
        images=tuple(_images(lock.images, platform)),
    )


def with_own_root(recipe: Recipe, lock: Lock) -> Lock:
    """A recipe of one platform and its lock -> the lock with the build root's packages that this platform needs."""
    groups = groups_of(recipe, lock.buildroot)
    return replace(lock, buildroot=tuple(each for each in lock.buildroot if each.component in groups))


def fits(each: LockedInput, platform: Platform) -> bool:
    """Whether an entry can be for a platform."""
    kind = each.source.partition(":")[0]
    if kind == "image":
        return each.source.partition("#")[2] == str(platform)
    if kind == "deb":
        found = [match[1] for file in each.files if (match := _DEB.fullmatch(file.name))]
        return all(architecture == platform.architecture for architecture in found)
    return True


def together(of_platforms: Iterable[Sequence[_T]]) -> tuple[_T, ...]:
    """What each platform's lock has -> all of it, each once."""
    found: list[_T] = []
    for entries in of_platforms:
        found += [each for each in entries if each not in found]
    return tuple(found)


def _images(images: Sequence[LockedImage], platform: Platform) -> Iterable[LockedImage]:
    """A platform's own images; one that is locked for another platform alone stays, for it to be told."""
    own = {each.image for each in images if each.platform == str(platform)}
    return (each for each in images if each.platform == str(platform) or each.image not in own)
