"""Recipes as folders: the ones we ship, the paths they name, and what their digest covers."""

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from builder.errors import RecipeError
from builder.recipe.chartfile import read_chart_file
from builder.recipe.digest import recipe_digest
from builder.recipe.model import FolderChart, GoComponent
from builder.recipe.read import read_recipe
from bundles.datakey import data_key
from bundles.errors import ProblemsError

RECIPES = Path(__file__).resolve().parents[3] / "recipes"
BINARIES = (
    "containerd containerd-shim containerd-shim-runc-v1 containerd-shim-runc-v2 crictl ctr kubectl kubelet runc socat"
)


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    shutil.copytree(RECIPES / "hello", tmp_path / "hello")
    return tmp_path / "hello"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_default_recipe_puts_all_ten_binaries_into_bin() -> None:
    recipe = read_recipe(RECIPES / "rke2-v1.34")
    runtime = recipe.images[recipe.runtime]
    placed: list[str] = []
    for layer in runtime.layers:
        for placement in layer:
            if str(placement.folder) == "/bin":
                outputs = recipe.components[placement.component].outputs
                placed += [placement.output] if placement.output else outputs
    assert sorted(placed) == BINARIES.split()
    assert data_key(runtime.reference).startswith("v1.34.4-rke2r1-classic-")


def test_every_go_component_has_its_modules_pinned_beside_the_recipe() -> None:
    recipe = read_recipe(RECIPES / "rke2-v1.34")
    for name, component in recipe.components.items():
        if isinstance(component, GoComponent) and component.module:
            folder = RECIPES / "rke2-v1.34/go" / name
            assert f"module sealift.build/{name}\n" in (folder / "go.mod").read_text()
            assert f"\t{component.module} {component.version}\n" in (folder / "go.mod").read_text().replace(
                "require ", "\t"
            )
            for package in component.packages.values():
                wanted = "/".join(filter(None, (component.module, package)))
                assert f'"{wanted}"' in (folder / "tools.go").read_text()
            assert (folder / "go.sum").stat().st_size > 0


@pytest.mark.parametrize("name", ["hello", "rke2-v1.34"])
def test_charts_of_the_recipes_we_ship_say_name_and_version(name: str) -> None:
    recipe = read_recipe(RECIPES / name)
    assert recipe.charts
    for chart in recipe.charts.values():
        assert isinstance(chart, FolderChart)
        assert read_chart_file(recipe.folder / chart.folder).name == chart.name


def test_no_folder_and_no_recipe_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such folder"):
        read_recipe(tmp_path / "none")
    with pytest.raises(RecipeError) as caught:
        read_recipe(RECIPES)
    assert {"hello,", "rke2-v1.34,"} <= set(caught.value.hint.split())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("./src/pause", "./src/paus", "components.yaml:3:pause.compile: no folder src/paus"),
        ("./src/pause", "./src/pause/pause.c", "no folder"),
    ],
)
def test_paths_that_are_not_there_are_problems_of_their_line(hello: Path, old: str, new: str, says: str) -> None:
    replace(hello / "components.yaml", old, new)
    with pytest.raises(ProblemsError) as caught:
        read_recipe(hello)
    assert says in str(caught.value)


def test_a_chart_without_chart_yaml_is_a_problem(hello: Path) -> None:
    (hello / "charts/hello/Chart.yaml").unlink()
    with pytest.raises(ProblemsError, match=r"charts.yaml:3:hello.folder: charts/hello holds no Chart.yaml"):
        read_recipe(hello)


def test_a_path_that_leads_out_through_a_symlink_is_refused(hello: Path, tmp_path: Path) -> None:
    shutil.move(hello / "src/pause", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", hello / "src/pause")
    with pytest.raises(ProblemsError, match="leads out of the recipe's folder"):
        read_recipe(hello)


def test_a_misspelled_file_name_is_noticed(hello: Path) -> None:
    (hello / "charts.yaml").rename(hello / "chart.yaml")
    with pytest.raises(ProblemsError, match=r"did you mean charts.yaml\?"):
        read_recipe(hello)


def test_comments_layout_key_order_and_place_do_not_change_the_digest(hello: Path) -> None:
    before = recipe_digest(read_recipe(RECIPES / "hello"))
    lines = (hello / "bundle.yaml").read_text().splitlines()
    (hello / "bundle.yaml").write_text("# other\n\n" + "\n".join([*lines[4:], *lines[:4]]) + "\n")
    assert recipe_digest(read_recipe(hello)) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("components.yaml", "-Os", "-O2"),
        ("components.yaml", "0.1.0", "0.1.1"),
        ("images.yaml", "65535:65535", "65534:65534"),
        ("images.yaml", "/pause]", "/pause, -v]"),
        ("charts.yaml", "folder:", "bootstrap: true\n  folder:"),
        ("bundle.yaml", "sequence: 1", "sequence: 2"),
        ("bundle.yaml", "v0.1.0", "v0.1.1"),
    ],
)
def test_what_a_recipe_says_is_in_its_digest(hello: Path, file: str, old: str, new: str) -> None:
    replace(hello / file, old, new)
    assert recipe_digest(read_recipe(hello)) != recipe_digest(read_recipe(RECIPES / "hello"))


def test_every_field_of_a_recipe_is_in_its_digest_but_its_folder() -> None:
    recipe = read_recipe(RECIPES / "hello")
    other: dict[str, Any] = {
        "folder": Path("/elsewhere"),
        "level": 3,
        "expires_days": 9,
        "budget": 7,
        "go": "1.26.9",
        "archives": {},
    }
    digests = {name: recipe_digest(dataclasses.replace(recipe, **{name: value})) for name, value in other.items()}
    same = {name for name, digest in digests.items() if digest == recipe_digest(recipe)}
    assert same == {"folder"}
