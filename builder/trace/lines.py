"""Recipe and lock -> the lines that decide a file in a bundle, and the content id of the step that made it.

Pure but for `open_lines`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder.buildroot.model import BASE, c_packages, group_of, needs_of, package_of
from builder.lock.model import Lock, LockedInput
from builder.lock.text import LOCK_RECORD, parse_lock
from builder.plan.graph import content_ids, make_jobs
from builder.recipe import keys
from builder.recipe.document import Document
from builder.recipe.document import read as read_document
from builder.recipe.model import CHARTS, GoComponent, Image, Placement, Recipe
from builder.recipe.parse import Documents, make_recipe
from builder.recipe.read import LOCK, read_limited, recipe_documents
from builder.steps.tools import component_tools
from bundles.digest import Digest
from bundles.locate import Spot
from bundles.platform import Platform
from bundles.sealed.read import tag_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """`where` is `file:line`, `what` in words what it says of the file."""

    where: str
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """A recipe and its lock, with the lines of all their keys."""

    recipe: Recipe
    lock: Lock
    documents: Documents
    locked: Document

    def at(self, file: str, *path: str) -> str:
        """`file:line` of a key in a file of the recipe or in lock.yaml; of what is around it where it has none."""
        document = self.locked if file == LOCK else self.documents.by_name[file]
        name, line, *_ = document.where(*path).split(":")
        return f"{name}:{line}"


def open_lines(folder: Path) -> Lines:
    """A recipe's folder, its lock included; raises RecipeError, ProblemsError, SealiftError."""
    documents = recipe_documents(folder)
    text = read_limited(folder / LOCK)
    return Lines(
        recipe=make_recipe(folder, documents),
        lock=parse_lock(text, LOCK),
        documents=documents,
        locked=read_document(text, LOCK, LOCK_RECORD),
    )


def lines_of(lines: Lines, spot: Spot) -> Iterator[Line]:
    """A file of an image -> its lines in images.yaml, components.yaml or charts.yaml, and lock.yaml, in this order."""
    image = _image(lines.recipe, spot)
    if image is None:
        return
    if not image.layers:
        yield Line(where=lines.at(keys.IMAGES, image.name), what=f"image {image.name}, made elsewhere")
        yield from _entries(lines, "images", "image", image.name)
        yield from _entries(lines, "image-sources", "image", image.name)
        return
    for placement in placements_of(lines.recipe, image, spot):
        name = f"{placement.component}/{placement.output}" if placement.output else placement.component
        where = lines.at(keys.IMAGES, image.name, "layers", str(spot.layer - 1), name)
        yield Line(where=where, what=f"image {image.name}, layer {spot.layer}: {name} goes to {placement.folder}")
        yield from _chart(lines, spot) if placement.component == CHARTS else _component(lines, placement.component)


def placements_of(recipe: Recipe, image: Image, spot: Spot) -> list[Placement]:
    """The placements of its layer that can have put a file there: the one that has it by name, else all around it."""
    path = PurePosixPath("/", spot.name)
    around = [each for each in image.layers[spot.layer - 1] if path.is_relative_to(each.folder)]
    named = [each for each in around if str(path.relative_to(each.folder)) in _outputs(recipe, each)]
    return named or around


def step_of(
    lines: Lines, component: str, chart: str, platform: Platform, tools: Mapping[str, str]
) -> tuple[str, Digest] | None:
    """The step that made a component's outputs (or `chart`), and its content id with the C tools that the builder had.

    None where they are not known.
    """
    recipe, packages = lines.recipe, c_packages(lines.recipe)
    if recipe.buildroot is not None:
        decided = component_tools(recipe, lines.lock, platform, {})
    elif {name for names in packages.values() for name in names} <= tools.keys():
        decided = {each: {name: tools[name] for name in names} for each, names in packages.items()}
    else:
        return None
    ids = content_ids(make_jobs(recipe, lines.lock, platform, decided))
    name = f"chart {chart}" if chart else f"component {component}"
    return (name, ids[name]) if name in ids else None


def chart_key(recipe: Recipe, spot: Spot) -> str:
    """The key in charts.yaml of the chart whose manifest a file is; "" for other files."""
    name = spot.name.rpartition("/")[2].removesuffix(".yaml")
    return next((key for key, chart in recipe.charts.items() if chart.manifest_name == name), "")


def component_of(recipe: Recipe, spot: Spot) -> str:
    """The only component that can have put a file into its layer; "" where there are several, or none."""
    image = _image(recipe, spot)
    found = {each.component for each in placements_of(recipe, image, spot)} if image and image.layers else set()
    return found.pop() if len(found) == 1 else ""


def _outputs(recipe: Recipe, placement: Placement) -> tuple[str, ...]:
    """What a placement puts into its folder, by name; nothing for charts."""
    if placement.output is not None:
        return (placement.output,)
    return recipe.components[placement.component].outputs if placement.component != CHARTS else ()


def _image(recipe: Recipe, spot: Spot) -> Image | None:
    return next((each for each in recipe.images.values() if tag_name(each.reference) == spot.image), None)


def _component(lines: Lines, name: str) -> Iterator[Line]:
    component = lines.recipe.components[name]
    yield Line(where=lines.at(keys.COMPONENTS, name), what=f"component {name}")
    yield from _entries(lines, "inputs", "component", name)
    if isinstance(component, GoComponent):
        yield from (Line(where=lines.at(LOCK, "tools", str(number)), what=tool.source)
                    for number, tool in enumerate(lines.lock.tools))  # fmt: skip
    if name in c_packages(lines.recipe):
        yield from _root(lines, name)


def _root(lines: Lines, component: str) -> Iterator[Line]:
    """The packages that its root has for what it asks for by name (`gcc`, `gcc-12`), and how many others."""
    if not lines.lock.buildroot:
        yield Line(where=lines.at(LOCK, "buildroot"), what="no build root: C was compiled by the builder's own tools")
        return
    wanted = c_packages(lines.recipe)[component]
    groups, rest = {BASE, *map(group_of, (*wanted, *needs_of(lines.recipe.components[component])))}, 0
    for number, each in enumerate(lines.lock.buildroot):
        if re.sub(r"-[0-9]+$", "", package_of(each)[0]) in wanted and each.component in groups:
            yield Line(where=lines.at(LOCK, "buildroot", str(number)), what=f"build root: {_pinned(each)}")
        else:
            rest += each.component in groups
    yield Line(where=lines.at(LOCK, "buildroot"), what=f"build root: {rest} more packages")


def _chart(lines: Lines, spot: Spot) -> Iterator[Line]:
    if key := chart_key(lines.recipe, spot):
        yield Line(where=lines.at(keys.CHARTS, key), what=f"chart {key}")
        yield from _entries(lines, "charts", "name", key)


def _entries(lines: Lines, group: str, key: str, name: str) -> Iterator[Line]:
    """The entries of a list of the lock whose `key` is `name`."""
    for number, entry in enumerate(lines.locked.values.get(group, ())):
        if entry[key] == name:
            found = [each for each in lines.lock.inputs if group == "inputs" and each.source == entry["source"]]
            what = _pinned(found[0]) if found else f"{group}: {name} sha256:{entry.get('sha256', '...')}"
            yield Line(where=lines.at(LOCK, group, str(number)), what=what)


def _pinned(each: LockedInput) -> str:
    """A source with what pins it."""
    pins = [each.h1] if each.h1 else [f"sha256:{each.digest.hex}"] if each.digest else []
    pins += [f"sha256:{file.digest.hex}" for file in each.files]
    pins += [f"{each.sum.folder}/go.sum: {each.sum.modules} modules"] if each.sum else []
    return " ".join([each.source, *pins])
