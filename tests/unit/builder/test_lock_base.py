"""What the lock of a derived recipe takes from its base's, and what stays its own."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from builder.lock.base import base_lock, with_base
from builder.lock.model import Lock, LockedFile, LockedInput, LockedTool
from builder.lock.text import read_lock
from builder.recipe.model import DebComponent, Recipe
from builder.recipe.read import read_recipe
from bundles.digest import Digest
from tests.support.recipes import EPOCH, tiny_recipe

SEALIFT = Path(sys.executable).parent / "sealift"
DERIVED = "sealift: 1\nbase: ../tiny\nflavour: modern\n"


@pytest.fixture
def derived(tmp_path: Path) -> Path:
    tiny_recipe(tmp_path / "tiny")
    (tmp_path / "derived").mkdir()
    (tmp_path / "derived/bundle.yaml").write_text(DERIVED)
    return tmp_path / "derived"


def lock(recipe: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    words = [str(SEALIFT), "lock", str(recipe), "--store", str(recipe.parent / "store"), "--progress", "none", *flags]
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def package(version: str, content: str) -> tuple[DebComponent, LockedInput]:
    """A package and what it is pinned to."""
    component = DebComponent(name="pack", package="pack", version=version, files={})
    files = (LockedFile(name="pack.deb", size=len(content), digest=Digest.of(content.encode())),)
    return component, LockedInput(component="pack", source=f"deb:bookworm/pack={version}", files=files)


def with_package(recipe: Recipe, component: DebComponent) -> Recipe:
    return dataclasses.replace(recipe, components={**recipe.components, "pack": component})


def test_a_lock_of_its_own_has_the_bases_epoch_and_is_fresh(derived: Path) -> None:
    done = lock(derived)
    assert done.returncode == 0, done.stderr
    mine = read_lock(derived)
    assert mine.epoch == EPOCH and not (derived / "notes.txt").exists()
    assert mine.inputs == tuple(sorted(read_lock(derived.parent / "tiny").inputs, key=lambda each: each.component))
    assert lock(derived).stdout.startswith("unchanged")
    assert lock(derived, "--check").returncode == 0


def test_what_changes_in_the_base_changes_the_derived_and_is_refused_under_the_same_version(derived: Path) -> None:
    lock(derived)
    (derived.parent / "tiny/notes.txt").write_text("changed\n")
    build = subprocess.run([SEALIFT, "build", derived, "--output", derived / "out"], capture_output=True, text=True)
    assert build.returncode == 2 and "component notes: notes.txt changed" in build.stderr
    refused = lock(derived)
    assert refused.returncode == 2 and "the version stays v1.0.0" in refused.stderr
    (derived / "notes.txt").write_text("read me\n")
    assert lock(derived).stdout.startswith("unchanged"), "its own file takes the place of the base's"


def test_the_bases_pin_comes_first_and_another_source_keeps_its_own(derived: Path) -> None:
    recipe, base = read_recipe(derived), base_lock(derived.parent / "tiny")
    assert base is not None
    component, theirs = package("1.0", "as the base has it")
    _, older = package("1.0", "as it was locked before")
    base = dataclasses.replace(base, inputs=(*base.inputs, theirs))
    old = dataclasses.replace(base, epoch=1, inputs=(older,))
    found = with_base(with_package(recipe, component), old, base)
    assert found is not None and found.of("pack") == (theirs,) and found.epoch == EPOCH
    newer, own = package("2.0", "the derived recipe's own")
    found = with_base(with_package(recipe, newer), dataclasses.replace(old, inputs=(own,)), base)
    assert found is not None and found.of("pack") == (own,)


def test_toolchains_of_both_are_known(derived: Path) -> None:
    recipe, lock = read_recipe(derived), base_lock(derived.parent / "tiny")
    assert lock is not None
    one, two = (LockedTool(source=f"go-toolchain:{version}", h1="h1:x", size=1) for version in ("1.26.8", "1.26.9"))
    base, old = (dataclasses.replace(lock, tools=tools) for tools in ((one,), (one, two)))
    found = with_base(recipe, old, base)
    assert found is not None and found.tools == (one, two)


def test_without_a_lock_of_the_base_the_old_one_counts(derived: Path) -> None:
    recipe = read_recipe(derived)
    known: Lock | None = base_lock(derived.parent / "tiny")
    assert with_base(recipe, known, None) is known and with_base(recipe, None, known) is known
    assert base_lock(None) is None and base_lock(derived) is None
