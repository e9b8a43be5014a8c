"""`sealift lock`: written once, kept while nothing changes, refused when content changes under one version."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.recipes import tiny_recipe

SEALIFT = Path(sys.executable).parent / "sealift"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tiny_recipe(tmp_path / "recipe", lock=False)


def lock(recipe: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [
        SEALIFT,
        "lock",
        recipe,
        "--store",
        recipe.parent / "store",
        "--progress",
        "none",
        *flags,
    ]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_a_lock_is_written_and_kept_while_nothing_changes(recipe: Path) -> None:
    first = lock(recipe)
    assert first.returncode == 0 and first.stderr == ""
    text = (recipe / "lock.yaml").read_text()
    again = lock(recipe)
    assert again.stdout.startswith("unchanged") and (recipe / "lock.yaml").read_text() == text
    assert json.loads(lock(recipe, "--json").stdout)["changes"] == []
    assert lock(recipe, "--check").returncode == 0


def test_other_content_under_one_version_is_refused_unless_said_so(recipe: Path) -> None:
    lock(recipe)
    text = (recipe / "lock.yaml").read_text()
    (recipe / "notes.txt").write_text("changed\n")
    refused = lock(recipe)
    assert refused.returncode == 2 and "the version stays v1.0.0" in refused.stderr
    assert (recipe / "lock.yaml").read_text() == text
    allowed = lock(recipe, "--same-version")
    assert allowed.returncode == 0 and "notes.txt changed" in allowed.stdout
    assert (recipe / "lock.yaml").read_text() != text


def test_check_shows_the_drift_and_writes_nothing(recipe: Path) -> None:
    lock(recipe)
    text = (recipe / "lock.yaml").read_text()
    (recipe / "charts/one/values.yaml").write_text("a: 1\n")
    drifted = lock(recipe, "--check")
    assert drifted.returncode == 1 and "chart one" in drifted.stderr and "epoch" not in drifted.stderr
    assert (recipe / "lock.yaml").read_text() == text


def test_build_without_a_lock_says_how_to_make_one(recipe: Path) -> None:
    done = subprocess.run([SEALIFT, "build", recipe, "--output", recipe.parent / "out"], capture_output=True, text=True)
    assert done.returncode in (1, 2) and "sealift lock" in done.stderr and "Traceback" not in done.stderr
