"""The plan: what decides a step's name is what decides its bytes, and nothing that is not needed is in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.lock.model import Lock
from builder.lock.text import read_lock
from builder.plan.graph import Plan, content_ids, make_jobs, make_plan
from builder.recipe.model import Recipe
from builder.recipe.read import read_recipe
from builder.steps.context import Job
from bundles.digest import Digest
from bundles.platform import Platform
from tests.support.recipes import BUNDLE, COMPONENTS, IMAGES, tiny_recipe, write_lock

AMD64 = Platform.parse("linux/amd64")
TOOLS = {"tool": {"gcc": "12.2"}}


def ids_of(recipe: Recipe, lock: Lock, tools: dict[str, dict[str, str]] = TOOLS) -> dict[str, Digest]:
    return content_ids(make_jobs(recipe, lock, AMD64, tools))


def ids_in(folder: Path) -> dict[str, Digest]:
    write_lock(folder)
    return ids_of(read_recipe(folder), read_lock(folder))


def changed(before: dict[str, Digest], after: dict[str, Digest]) -> set[str]:
    return {name for name in after if before.get(name) != after[name]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_recipe(tmp_path / "recipe")


def test_needs_come_before_the_steps_that_need_them(folder: Path) -> None:
    seen: set[str] = set()
    for job in make_jobs(read_recipe(folder), read_lock(folder), AMD64, TOOLS):
        assert seen.issuperset(job.step.needs)
        seen.add(job.step.name)
    assert "image rke2-runtime" in seen and "chart one" in seen


def test_the_same_recipe_at_another_place_has_the_same_steps(folder: Path, tmp_path: Path) -> None:
    assert ids_in(folder) == ids_in(tiny_recipe(tmp_path / "else where" / "recipe"))


TOUCHED: list[tuple[str, Callable[[Path], object], set[str]]] = [
    ("a file", lambda at: (at / "notes.txt").write_text("x"), {"component notes", "layer rke2-runtime 2"}),
    (
        "C source",
        lambda at: (at / "src/tool.c").write_text("x"),
        {"component tool", "licences tool", "layer rke2-runtime 1"},
    ),
    (
        "a command",
        lambda at: (at / "components.yaml").write_text(COMPONENTS.replace("-Os", "-O2")),
        {"component tool", "licences tool", "layer rke2-runtime 1"},
    ),
    (
        "a chart",
        lambda at: (at / "charts/one/values.yaml").write_text("a: 1\n"),
        {"chart one", "licences chart one", "layer rke2-runtime 3"},
    ),
    ("the tag", lambda at: (at / "bundle.yaml").write_text(BUNDLE.replace("v1.0.0", "v1.0.1")), set()),
    ("a comment", lambda at: (at / "images.yaml").write_text(f"# a word\n{IMAGES}"), set()),
]


@pytest.mark.parametrize(("what", "touch", "want"), TOUCHED, ids=[row[0] for row in TOUCHED])
def test_a_change_gives_new_names_to_what_it_decides_and_to_nothing_else(
    folder: Path, what: str, touch: Callable[[Path], object], want: set[str]
) -> None:
    before = ids_in(folder)
    touch(folder)
    image = set() if what == "a comment" else {"image rke2-runtime"}
    assert changed(before, ids_in(folder)) == want | image


def test_another_compiler_is_another_step(folder: Path) -> None:
    recipe, lock = read_recipe(folder), read_lock(folder)
    other = ids_of(recipe, lock, {"tool": {"gcc": "13.1"}})
    below = {"layer rke2-runtime 1", "image rke2-runtime"}
    assert changed(ids_of(recipe, lock), other) == {"component tool", "licences tool"} | below


def test_a_lock_that_lacks_an_input_is_refused(folder: Path) -> None:
    (folder / "components.yaml").write_text(COMPONENTS.replace("notes:\n", "words:\n"))
    (folder / "images.yaml").write_text(IMAGES.replace("notes:", "words:"))
    with pytest.raises(RecipeError, match="not in the lock"):
        make_jobs(read_recipe(folder), read_lock(folder), AMD64, TOOLS)


def test_the_plan_counts_only_what_is_missing(folder: Path) -> None:
    jobs = make_jobs(read_recipe(folder), read_lock(folder), AMD64, TOOLS)
    ids = content_ids(jobs)
    nothing, all_of_it = make_plan(jobs, []), make_plan(jobs, ids.values())
    but_one: Plan = make_plan(jobs, [id_ for name, id_ in ids.items() if name != "component tool"])
    assert len(nothing.missing) == len(jobs) and nothing.seconds >= len(jobs)
    assert (all_of_it.missing, all_of_it.seconds, all_of_it.size) == ((), 0, 0)
    assert [job.step.name for job in but_one.missing] == ["component tool"]


def test_layers_share_a_lane_so_that_compressors_are_not_held_twice(folder: Path) -> None:
    jobs = make_jobs(read_recipe(folder), read_lock(folder), AMD64, TOOLS)
    lanes = {job.lane for job in jobs if isinstance(job, Job) and job.step.kind == "layer"}
    assert len(lanes) == 1 and "" not in lanes
