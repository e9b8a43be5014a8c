"""Locking of images that other tools make: archives and Containerfiles beside the recipe, and what these build on."""

from collections.abc import Callable, Iterator, Mapping

from builder.engine.containerfile import MAX_SIZE, bases
from builder.lock.imagesources import LockedBase, LockedImageSource
from builder.lock.model import Lock
from builder.process import Cancel
from builder.reach import Reach
from builder.recipe.elsewhere import ArchiveImage, EngineImage
from builder.recipe.model import Recipe
from builder.recipe.places import beside
from builder.tree import file_digest, folder_digest
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.files import os_errors
from bundles.reference import Reference
from bundles.registry.place import Repository


def lock_image_sources(
    recipe: Recipe, old: Lock | None, reach: Reach, env: Mapping[str, str], cancel: Cancel, say: Callable[[str], None]
) -> tuple[LockedImageSource, ...]:
    """All of a recipe; a base that the old lock pins for the image under the same name stays."""
    return tuple(
        _lock(recipe, image, old.image_source(image.name) if old is not None else None, reach, env, cancel, say)
        for _, image in sorted(recipe.images.items())
        if isinstance(image, EngineImage) or (isinstance(image, ArchiveImage) and image.file is not None)
    )


def containerfile(recipe: Recipe, image: EngineImage) -> str:
    """The text of an image's Containerfile, or Dockerfile where there is no other. Raises FormatError, SealiftError."""
    path = beside(recipe, image.folder) / image.containerfile
    if not path.is_file() and str(image.containerfile) == "Containerfile":
        path = path.with_name("Dockerfile")
    with os_errors(path), path.open("rb") as file:
        data = file.read(MAX_SIZE + 1)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise FormatError("not UTF-8", where=path) from exc
    if len(data) > MAX_SIZE:
        raise FormatError("too large", where=path, want=f"<= {MAX_SIZE} bytes")
    return text


def source_digest(recipe: Recipe, image: ArchiveImage | EngineImage) -> Digest:
    """Of the file or folder beside the recipe."""
    if isinstance(image, EngineImage):
        return folder_digest(beside(recipe, image.folder))
    assert image.file is not None
    return file_digest(beside(recipe, image.file))[0]


def source_text(image: ArchiveImage | EngineImage) -> str:
    """Where from, in the lock's words."""
    return f"engine:{image.folder}" if isinstance(image, EngineImage) else f"archive:{image.file}"


def stale_image_sources(recipe: Recipe, lock: Lock) -> Iterator[str]:
    """What is wrong with a lock's entries for a recipe, a line each."""
    wanted = {
        name: image
        for name, image in recipe.images.items()
        if isinstance(image, EngineImage) or (isinstance(image, ArchiveImage) and image.file is not None)
    }
    for name, image in wanted.items():
        locked = lock.image_source(name)
        if locked is None:
            yield f"image {name} is not in it"
            continue
        try:
            if (locked.source, locked.digest) != (source_text(image), source_digest(recipe, image)):
                yield f"image {name}: {source_text(image)} changed"
        except SealiftError as exc:
            yield f"image {name}: {exc.message}"
    gone = {each.image for each in lock.image_sources} - wanted.keys()
    yield from (f"image {name} is in it, but not in the recipe" for name in sorted(gone))


def image_source_changes(old: Lock, new: Lock) -> Iterator[str]:
    """Two locks -> one line per change."""
    before, after = ({each.image: each for each in lock.image_sources} for lock in (old, new))
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one is None or two is None:
            yield f"image {name}: {'added' if one is None else 'removed'} {(one or after[name]).source}"
            continue
        if (one.source, one.digest) != (two.source, two.digest):
            yield f"image {name}: {two.source} changed"
        pins = {each.reference: each.digest for each in one.bases}
        for base in two.bases:
            if pins.get(base.reference) != base.digest:
                yield f"image {name}: base {base.reference} is {base.digest}"


def _lock(
    recipe: Recipe, image: ArchiveImage | EngineImage, old: LockedImageSource | None, reach: Reach,
    env: Mapping[str, str], cancel: Cancel, say: Callable[[str], None],
) -> LockedImageSource:  # fmt: skip
    found: tuple[LockedBase, ...] = ()
    if isinstance(image, EngineImage):
        known = {each.reference: each for each in old.bases} if old is not None else {}
        names = sorted({Reference.parse(name).name for name in _bases(recipe, image)})
        found = tuple(known.get(name) or _base(name, reach, env, cancel, say) for name in names)
    return LockedImageSource(
        image=image.name, source=source_text(image), digest=source_digest(recipe, image), bases=found
    )


def _bases(recipe: Recipe, image: EngineImage) -> tuple[str, ...]:
    return bases(containerfile(recipe, image), f"{image.folder}/{image.containerfile}")


def _base(name: str, reach: Reach, env: Mapping[str, str], cancel: Cancel, say: Callable[[str], None]) -> LockedBase:
    """What a registry says today."""
    reference = Reference.parse(name)
    if reference.digest is not None:
        return LockedBase(reference=name, digest=reference.digest)
    say(f"locking {name}")
    repository = Repository(host=reference.domain, path=reference.repository)
    with reach.opened(env) as registry:
        return LockedBase(reference=name, digest=registry.manifest(repository, str(reference.tag), cancel.check).digest)
