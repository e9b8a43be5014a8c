"""`choices` of a recipe: what they may name, and who may ask for an image that only a choice brings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.askers import check_images
from builder.errors import RecipeError
from builder.plan.model import Receipt
from builder.recipe.digest import recipe_digest
from builder.recipe.model import Recipe
from builder.recipe.read import read_recipe
from builder.steps.render import IMAGES, render_name
from bundles.errors import ProblemsError
from tests.support.recipes import tiny_recipe

RECIPES = Path(__file__).resolve().parents[3] / "recipes"


def problems(folder: Path, choices: str) -> str:
    with (folder / "bundle.yaml").open("a") as file:
        file.write(choices)
    with pytest.raises(ProblemsError) as caught:
        read_recipe(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        ("cni: {flanel: {archives: [rke2-runtime], charts: [one]}}", "did you mean flannel"),
        ("cni: {none: {archives: [rke2-runtime], charts: [one]}}", "RKE2 knows no cni: none"),
        ("cni: {flannel: {archives: [other], charts: [one]}}", "the bundle has no archive other"),
        ("cni: {flannel: {archives: [rke2-runtime], charts: [two]}}", "the bundle has no chart two"),
        ("cni: {flannel: {archives: [rke2-runtime], charts: [one]}}", "every node needs the runtime image"),
        ("cni: {flannel: {charts: [one]}}", "archives"),
        ("colour: {}", "colour"),
    ],
)
def test_a_choice_names_parts_of_the_bundle_and_words_of_rke2(tmp_path: Path, choices: str, problem: str) -> None:
    found = problems(tiny_recipe(tmp_path / "tiny"), f"choices:\n  {choices}\n")
    assert problem in found and "bundle.yaml" in found


def test_the_order_of_choices_counts_because_the_first_is_the_default(tmp_path: Path) -> None:
    recipe = read_recipe(RECIPES / "rke2-v1.34")
    assert [(each.key, each.name) for each in recipe.choices] == [
        ("cni", "flannel"),
        ("ingress-controller", "traefik"),
    ]
    other = replace(recipe, choices=tuple(reversed(recipe.choices)))
    assert recipe_digest(recipe) != recipe_digest(other)


def receipts(recipe: Recipe, asked: dict[str, list[str]]) -> dict[str, Receipt]:
    found: dict[str, Receipt] = {}
    for chart in recipe.charts:
        images: dict[str, Any] = {recipe.images[name].reference.name: ["Pod x"] for name in asked.get(chart, [])}
        found[render_name(chart)] = Receipt(outputs={}, facts={IMAGES: images})
    return found


def test_an_image_of_a_choice_is_asked_for_by_that_choice_alone() -> None:
    recipe = read_recipe(RECIPES / "rke2-v1.34")
    asked = {
        "flannel": ["flannel", "cni-plugins"],
        "coredns": ["coredns"],
        "metrics-server": ["metrics-server"],
        "traefik": ["traefik"],
    }
    check_images(recipe, receipts(recipe, asked))
    with pytest.raises(RecipeError, match=r"rke2-images-flannel, which is there for a choice; chart coredns \(Pod x\)"):
        check_images(recipe, receipts(recipe, asked | {"coredns": ["coredns", "cni-plugins"]}))


def test_traefik_s_version_is_the_one_that_its_go_mod_requires() -> None:
    folder = RECIPES / "rke2-v1.34/src/traefik"
    version = read_recipe(RECIPES / "rke2-v1.34").components["traefik"].version  # type: ignore[union-attr]
    assert f"github.com/traefik/traefik/v3 {version}\n" in (folder / "go.mod").read_text()


def test_a_choice_beside_a_half_wrong_list_of_charts_is_still_judged(tmp_path: Path) -> None:
    folder = tiny_recipe(tmp_path / "tiny")
    text = (folder / "bundle.yaml").read_text().replace("charts: [one]", "charts: [one, yes]")
    (folder / "bundle.yaml").write_text(text)
    found = problems(folder, "choices:\n  cni: {flannel: {archives: [other], charts: [two]}}\n")
    assert "charts.1: want a name" in found and "the bundle has no chart two" in found
