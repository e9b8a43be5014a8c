"""Filesystems that are really full, read-only, or others than expected."""

import os
import shutil
from pathlib import Path

import pytest

from builder.store import Store
from bundles.errors import SealiftError
from bundles.talk import SilentProgress
from runtime.layout import NodeLayout
from runtime.stage import stage
from tests.support.bundles import tree
from tests.support.disk_mounts import FILLER, fill, read_only, resize, small_disk
from tests.support.nodedirs import NOBODY, NOW
from tests.support.recipes import tiny_recipe
from tests.support.recording_build import AMD64, check_store, plain_recipe, run_build
from tests.support.recording_commands import build_command, run, sealift, stage_command
from tests.support.releases import program, release


def bundle_of(home: Path) -> dict[str, bytes]:
    (folder,) = (home / "out").iterdir()
    return tree(folder)


@pytest.fixture
def plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks first is told that there is space: the disk fills up afterwards."""
    usage = shutil._ntuple_diskusage(1 << 50, 0, 1 << 50)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


# A disk that is really full


@pytest.mark.parametrize("size", ["64k", "128k", "192k", "256k", "320k", "384k"])
def test_a_build_on_a_full_disk_says_so_and_goes_on_when_there_is_space(
    size: str, tmp_path: Path, plenty: None
) -> None:
    recipe = plain_recipe(tmp_path / "recipe")
    want = tree(run_build(recipe, tmp_path / "alone"))
    with small_disk(tmp_path / "disk", size) as disk:
        try:
            run_build(recipe, disk)
        except SealiftError as exc:
            assert "No space left" in str(exc) and "free" in exc.got and exc.hint
            assert not [path for path in (disk / "out").glob("*") if not path.name.startswith(".")]
        if (disk / "store").exists():
            check_store(disk / "store")
        resize(disk, "8m")
        assert tree(run_build(recipe, disk)) == want


def test_a_compiler_on_a_full_disk_is_told_and_the_next_build_completes(tmp_path: Path, plenty: None) -> None:
    recipe = tiny_recipe(tmp_path / "recipe")
    with small_disk(tmp_path / "disk", "700k") as disk:
        with pytest.raises(SealiftError, match="No space left"):
            run_build(recipe, disk)
        resize(disk, "16m")
        assert tree(run_build(recipe, disk)) == tree(run_build(recipe, tmp_path / "alone"))


class Filling(SilentProgress):
    """A disk that has no space from the first byte that was checked on."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk

    def advance(self, count: int) -> None:
        fill(self.disk)


def test_a_disk_that_fills_while_a_bundle_is_copied_is_said_and_given_back(tmp_path: Path, plenty: None) -> None:
    bundle = release(tmp_path / "usb", programs={"kubelet": program(os.urandom(3 << 20))})
    with small_disk(tmp_path / "disk", "16m") as disk:
        layout = NodeLayout.at(disk)
        with pytest.raises(SealiftError, match="No space left") as caught:
            stage(bundle, layout, NOBODY, platform=AMD64, now=NOW, progress=Filling(disk), say=lambda line: None)
        assert caught.value.where.startswith(str(disk)) and "free" in caught.value.got
        assert not list(layout.bundles.iterdir())
        assert not list(layout.images.iterdir())
        (disk / FILLER).unlink()
        report = stage(
            bundle, layout, NOBODY, platform=AMD64, now=NOW, progress=SilentProgress(), say=lambda line: None
        )
        assert tree(report.folder) == tree(bundle)


# Filesystems


def test_the_store_may_be_on_another_filesystem_than_the_output(tmp_path: Path, plenty: None) -> None:
    recipe = plain_recipe(tmp_path / "recipe")
    want = tree(run_build(recipe, tmp_path / "alone"))
    with small_disk(tmp_path / "home/store", "16m"):
        assert tree(run_build(recipe, tmp_path / "home")) == want
        shutil.rmtree(tmp_path / "home/out")
        assert tree(run_build(recipe, tmp_path / "home")) == want


def test_a_read_only_store_with_everything_in_it_serves_a_build(tmp_path: Path) -> None:
    recipe = plain_recipe(tmp_path / "recipe")
    want = tree(run_build(recipe, tmp_path))
    with read_only(tmp_path / "store"):
        run(build_command(recipe, tmp_path))
        shutil.rmtree(tmp_path / "out")
        said = run(build_command(recipe, tmp_path, "--progress", "plain"))
        assert "warning: not noted" in said and bundle_of(tmp_path) == want
        (recipe / "notes.txt").write_text("other\n")


def test_a_read_only_store_that_lacks_something_is_said(tmp_path: Path) -> None:
    recipe = plain_recipe(tmp_path / "recipe")
    Store(tmp_path / "store")
    with read_only(tmp_path / "store"):
        said = run(build_command(recipe, tmp_path), code=1)
    assert "Read-only file system" in said and str(tmp_path / "store") in said and "do: " in said


def test_a_read_only_output_and_a_read_only_node_are_said(tmp_path: Path) -> None:
    recipe = plain_recipe(tmp_path / "recipe")
    folder = run_build(recipe, tmp_path / "alone")
    (tmp_path / "out").mkdir()
    (tmp_path / "node").mkdir()
    commands = [build_command(recipe, tmp_path), stage_command(folder, tmp_path / "node")]
    commands.append(sealift("pack", folder, "--output", tmp_path / "out/it.sealift"))
    with read_only(tmp_path / "out"), read_only(tmp_path / "node"):
        for command in commands:
            said = run(command, code=1)
            assert "Read-only file system" in said and str(tmp_path) in said and "do: " in said
