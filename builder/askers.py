"""Who asks for which image: the charts, as they were rendered, and what the recipe names beside them.

The images of a bundle are exactly those that are asked for: one too few is a pod that never starts at a site without
a way out, one too many is carried there for nothing. Pure: recipe and receipts in, words out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from builder.errors import RecipeError
from builder.mirror.built import keeps_index, node_names
from builder.plan.model import Receipt
from builder.recipe.model import Recipe
from builder.recipe.taken import MirrorImage
from builder.steps.render import IMAGES, render_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Asker:
    """`name` as in the recipe (`chart coredns`, `static-pods`); `detail` names the objects of a chart."""

    name: str
    detail: str = ""

    def __str__(self) -> str:
        """Both, in words."""
        return f"{self.name} ({self.detail})" if self.detail else self.name


def askers(recipe: Recipe, receipts: Mapping[str, Receipt]) -> dict[str, list[Asker]]:
    """Receipts by step name -> who asks for each image, by its normalised name; empty without a helm to ask."""
    found: dict[str, list[Asker]] = {}
    if recipe.helm is None:
        return found
    for who, names in recipe.asks.items():
        for name in names:
            found.setdefault(recipe.images[name].reference.name, []).append(Asker(name=who))
    for chart in recipe.charts:
        rendered = receipts.get(render_name(chart))
        for image, owners in (rendered.facts[IMAGES] if rendered else {}).items():
            found.setdefault(image, []).append(Asker(name=f"chart {chart}", detail=", ".join(owners)))
    return found


def check_images(recipe: Recipe, receipts: Mapping[str, Receipt]) -> None:
    """Returns when the archives hold what is asked for and nothing else; raises RecipeError that names who asks."""
    if recipe.helm is None:
        return
    asked = askers(recipe, receipts)
    carried = {
        names_of(recipe, name, receipts, asked): archive
        for archive, names in recipe.archives.items()
        for name in names
        if name != recipe.runtime
    }
    found = {name for names in carried for name in names}
    rows = [
        f"{image} is in no archive; {' and '.join(map(str, who))} {'ask' if len(who) > 1 else 'asks'} for it"
        for image, who in asked.items()
        if image not in found
    ]
    rows += [
        f"{names[0]} in {archive}: nobody asks for it"
        for names, archive in carried.items()
        if asked.keys().isdisjoint(names)
    ]
    rows += _strangers(recipe, receipts, asked)
    if rows:
        raise RecipeError(
            "the images are not those that are asked for:\n  " + "\n  ".join(sorted(rows)),
            where=recipe.folder / "bundle.yaml",
            hint="add the image to an archive, or name who asks for it in `asks`; a chart's `discover` holds values "
            "that ask for more",
        )


def names_of(
    recipe: Recipe, name: str, receipts: Mapping[str, Receipt], asked: Mapping[str, list[Asker]]
) -> tuple[str, ...]:
    """All names by which a node finds an image of the recipe; the first is its own."""
    image = recipe.images[name]
    if not isinstance(image, MirrorImage):
        return (image.reference.name,)
    documents = receipts[f"image {name}"].facts["documents"]
    return node_names(image, documents, kept=keeps_index(image, documents, asked.keys()))


def _strangers(recipe: Recipe, receipts: Mapping[str, Receipt], asked: Mapping[str, list[Asker]]) -> list[str]:
    """Who asks for an image of a choice without being part of it: another choice would leave it without."""
    rows = []
    for archive in {name: None for choice in recipe.choices for name in choice.archives}:
        owners = {
            f"chart {chart}" for choice in recipe.choices if archive in choice.archives for chart in choice.charts
        }
        for name in recipe.archives[archive]:
            for image in names_of(recipe, name, receipts, asked):
                others = [asker for asker in asked.get(image, ()) if asker.name not in owners]
                rows += [f"{image} is in {archive}, which is there for a choice; {who} asks for it" for who in others]
    return rows
