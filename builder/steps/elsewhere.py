"""Images that other tools made, as a plan and an archive's layout take them. Pure."""

from collections.abc import Mapping, Sequence

from builder.askers import Asker
from builder.assemble import BuiltImage
from builder.errors import RecipeError
from builder.lock.model import Lock
from builder.mirror.built import config_of, stored_layers
from builder.recipe.elsewhere import ArchiveImage, EngineImage
from builder.recipe.fetched import UrlComponent, last_part
from builder.recipe.model import Recipe
from builder.steps import archiveimage, engine
from builder.steps.context import Job
from builder.steps.image import MANIFEST
from bundles.platform import Platform


def describe(image: ArchiveImage | EngineImage, recipe: Recipe, lock: Lock, platform: Platform) -> Job:
    """Image -> its job; raises RecipeError where the lock lacks it."""
    locked = lock.image_source(image.name)
    if locked is None and not (isinstance(image, ArchiveImage) and image.component):
        raise RecipeError("not in the lock", where=f"image {image.name}", hint="run sealift lock")
    if isinstance(image, EngineImage):
        assert locked is not None
        return engine.describe(image, locked, platform)
    return archiveimage.describe(image, locked, platform, _file_name(image, recipe))


def elsewhere_image(
    image: ArchiveImage | EngineImage, documents: Mapping[str, str], asked: Sequence[Asker]
) -> BuiltImage:
    """Image, its step's documents, and who asks for it -> the image."""
    return BuiltImage(
        reference=image.reference,
        manifest=documents[MANIFEST].encode(),
        config=config_of(documents),
        layers=stored_layers(documents, image.name),
        why=", ".join(dict.fromkeys(one.name for one in asked)) or "recipe",
    )


def _file_name(image: ArchiveImage, recipe: Recipe) -> str:
    """The archive's name, whose suffix tells how it is packed."""
    if image.file is not None:
        return image.file.name
    component = recipe.components[image.component]
    name = last_part(component.url) if isinstance(component, UrlComponent) else component.outputs[0]
    return name or "archive.tar"
