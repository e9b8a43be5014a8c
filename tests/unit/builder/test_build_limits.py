"""Around a build: disk space, budget, what killed builds left, the second build of --check, cleaning the store."""

import fcntl
import os
from pathlib import Path

import pytest

from builder.again import differences
from builder.budget import growth_text
from builder.build import BuildOptions, build, plan_build, read_sources
from builder.deliver import _temporary
from builder.errors import RecipeError
from builder.plan.model import Output, Receipt
from builder.progress import SilentTalk
from builder.space import Space, check_space, estimate
from builder.store import Store
from builder.upkeep import clean_store
from bundles.digest import Digest
from bundles.errors import SealiftError, UsageError
from bundles.platform import Platform
from tests.support.recipes import tiny_recipe, write_lock

AMD64 = Platform.parse("linux/amd64")


class Talk(SilentTalk):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def options(home: Path, talk: SilentTalk, *, check: bool = False, host: Platform = AMD64) -> BuildOptions:
    return BuildOptions(
        output=home / "out", store=Store(home / "store"), talk=talk, host=host, env=os.environ, check=check
    )


def receipt(word: bytes) -> Receipt:
    return Receipt(outputs={"x": Output(digest=Digest.of(word), size=len(word))})


def test_a_plan_larger_than_the_disk_is_refused_with_numbers(tmp_path: Path) -> None:
    huge = 1 << 60
    for space in (Space(store=huge, output=0), Space(store=0, output=huge)):
        with pytest.raises(SealiftError, match="not enough disk space"):
            check_space(space, tmp_path, tmp_path / "not/yet/there")
    check_space(Space(store=0, output=0), tmp_path, tmp_path / "not/yet/there")


def test_the_archives_of_a_finished_build_are_estimated_by_their_layers(tmp_path: Path) -> None:
    recipe, store = tiny_recipe(tmp_path / "recipe"), Store(tmp_path / "store")
    sources = read_sources(recipe)
    before = estimate(plan_build(sources, AMD64, store, os.environ), store)
    built = build(recipe, options(tmp_path, SilentTalk()))
    after = estimate(plan_build(sources, AMD64, store, os.environ), store)
    layers = sum(blob.size for archive in built.index.archives for blob in archive.blobs if blob.frames)
    assert before.store > 0
    assert after == Space(store=0, output=layers)


def test_a_machine_of_another_kind_is_refused_at_once(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path / "recipe")
    with pytest.raises(RecipeError, match="compiled in a build root alone"):
        build(recipe, options(tmp_path, SilentTalk(), host=Platform.parse("linux/arm64")))


def test_growth_names_what_grew_most_first() -> None:
    rows = growth_text({"a layer 1": 1000, "b layer 1": 5000}, {"a layer 1": 9000, "b layer 1": 5000, "c layer 1": 100})
    assert [line.split("more")[1].split("(")[0].strip() for line in rows.splitlines()] == ["a layer 1", "c layer 1"]


def test_folders_of_killed_builds_go_and_those_of_running_ones_stay(tmp_path: Path) -> None:
    killed, running, other = (tmp_path / f".sealift-{name}" for name in ("x-v1.aa", "x-v1.bb", "y-v1.cc"))
    for folder in (killed, running, other):
        folder.mkdir()
        (folder / "half.tar").write_text("half")
    held = os.open(running, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with _temporary(tmp_path, "x-v1") as mine:
            assert mine.name.startswith(".sealift-x-v1.")
            assert not killed.exists() and running.exists() and other.exists()
    finally:
        os.close(held)
    assert not mine.exists()


def test_what_a_killed_build_left_in_the_store_goes_with_the_next_one(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path / "recipe")
    left = Store(tmp_path / "store").root / "tmp/step.dead"
    left.mkdir()
    (left / "object.o").write_text("half")
    build(recipe, options(tmp_path, SilentTalk()))
    assert not left.exists()


def test_check_builds_a_second_time_and_finds_the_same(tmp_path: Path) -> None:
    talk = Talk()
    build(tiny_recipe(tmp_path / "recipe"), options(tmp_path, talk, check=True))
    assert "checked: the second build has the same bytes" in talk.said


def test_check_names_the_step_that_is_not_reproducible_and_not_those_after_it(tmp_path: Path) -> None:
    sources = read_sources(tiny_recipe(tmp_path / "recipe"))
    plan = plan_build(sources, AMD64, Store(tmp_path / "store"), os.environ)
    names = [job.step.name for job in plan.jobs]
    first = {name: receipt(b"same") for name in names}
    after = {"component tool", "layer rke2-runtime 1", "image rke2-runtime"}
    second = {name: receipt(b"other" if name in after else b"same") for name in names}
    assert list(differences(plan, first, second)) == ["component tool: x"]
    assert not list(differences(plan, first, first))


def test_cleaning_keeps_what_the_recipes_need_and_removes_the_rest(tmp_path: Path) -> None:
    kept, gone = tiny_recipe(tmp_path / "recipe"), tiny_recipe(tmp_path / "gone")
    (gone / "notes.txt").write_text("only of this one\n")
    write_lock(gone)
    store = Store(tmp_path / "store")
    build(kept, options(tmp_path, SilentTalk()))
    build(gone, BuildOptions(output=tmp_path / "out2", store=store, talk=SilentTalk(), host=AMD64, env=os.environ))
    assert clean_store(store, [kept]).files > 0
    assert not plan_build(read_sources(kept), AMD64, store, os.environ).missing
    missing = [job.step.name for job in plan_build(read_sources(gone), AMD64, store, os.environ).missing]
    assert missing == ["component notes", "layer rke2-runtime 2", "image rke2-runtime"]


def test_cleaning_for_no_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no recipe was named"):
        clean_store(Store(tmp_path / "store"), [])


def test_a_plan_counts_the_bytes_of_files_and_of_what_is_built(tmp_path: Path) -> None:
    recipe, store = tiny_recipe(tmp_path / "recipe", lock=False), Store(tmp_path / "store")
    with (recipe / "notes.txt").open("wb") as file:
        file.truncate(100_000_000)
    write_lock(recipe)
    plan = plan_build(read_sources(recipe), AMD64, store, os.environ)
    assert plan.rows["component notes"].step.size == 100_000_000
    assert plan.rows["layer rke2-runtime 2"].step.size > 35_000_000
    assert plan.seconds > len(plan.missing)
