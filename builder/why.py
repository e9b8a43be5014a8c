"""Who asks for a thing in a recipe. Pure."""

from collections.abc import Iterator

from builder.recipe.elsewhere import ArchiveImage
from builder.recipe.model import CHARTS, CompileComponent, FolderChart, GoComponent, Recipe, UserlandComponent


def reasons(recipe: Recipe, what: str) -> list[str]:
    """A name -> lines that lead from it to the bundle; empty when nothing asks for it."""
    return list(dict.fromkeys([*_components(recipe, what), *_images(recipe, what), *_charts(recipe, what)]))


def _components(recipe: Recipe, what: str) -> Iterator[str]:
    for name, component in recipe.components.items():
        if isinstance(component, (GoComponent, CompileComponent)) and what in component.needs:
            yield f"{what} <- needed to compile component {name}"
        if isinstance(component, UserlandComponent) and what in _package_names(component):
            yield f"{what} <- package of component {name}"
            yield from _placements(recipe, name, None)
        if what == name or what in component.outputs:
            if what != name:
                yield f"{what} <- component {name}"
            yield from _placements(recipe, name, what if what != name else None)


def _package_names(component: UserlandComponent) -> set[str]:
    return {package.partition("=")[0] for package in component.packages}


def _placements(recipe: Recipe, component: str, output: str | None) -> Iterator[str]:
    for key, image in recipe.images.items():
        if isinstance(image, ArchiveImage) and image.component == component:
            yield f"{component} <- the archive of image {key}"
            yield from _archives(recipe, key)
        for number, placements in enumerate(image.layers, 1):
            for placement in placements:
                if placement.component == component and (placement.output in (None, output) or output is None):
                    what = f"{component}/{placement.output}" if placement.output else component
                    yield f"{what} <- layer {number} of image {key}, at {placement.folder}"
                    yield from _archives(recipe, key)


def _images(recipe: Recipe, what: str) -> Iterator[str]:
    for key, image in recipe.images.items():
        if what in (key, image.reference.name, image.reference.familiar, image.reference.repository):
            yield from _archives(recipe, key)


def _archives(recipe: Recipe, image: str) -> Iterator[str]:
    for archive, names in recipe.archives.items():
        if image in names:
            runtime = " (the runtime that a node unpacks)" if image == recipe.runtime else ""
            yield f"image {image} <- archive {archive}{runtime}"
    yield from (f"image {image} <- asked for by {who}" for who, names in recipe.asks.items() if image in names)


def _charts(recipe: Recipe, what: str) -> Iterator[str]:
    for name, chart in recipe.charts.items():
        if what in (name, chart.manifest_name):
            place = chart.folder if isinstance(chart, FolderChart) else chart.source
            yield f"chart {name} <- charts of bundle.yaml, from {place}"
            yield from _placements(recipe, CHARTS, None)
