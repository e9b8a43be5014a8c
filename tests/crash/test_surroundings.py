"""Strange surroundings: other filesystems, no space, no rights, no home, few descriptors, clocks that jump."""

import itertools
import os
import shutil
import subprocess
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.build import BuildOptions, build
from builder.progress import SilentTalk
from builder.store import Store
from bundles.errors import SealiftError, UsageError
from bundles.talk import SilentProgress
from runtime.layout import NodeLayout
from runtime.stage import stage
from tests.support.bundles import tree
from tests.support.disk_mounts import FILLER, fill, read_only, resize, small_disk
from tests.support.nodedirs import NOBODY, NOW, TestNode, seen
from tests.support.recipes import tiny_recipe
from tests.support.recording_build import AMD64, check_store, plain_recipe, run_build
from tests.support.recording_commands import build_command, extract_command, run, sealift, stage_command
from tests.support.releases import program, release

PATH_ONLY = {"PATH": os.environ["PATH"]}


def bundle_of(home: Path) -> dict[str, bytes]:
    (folder,) = (home / "out").iterdir()
    return tree(folder)


def modes(folder: Path) -> set[str]:
    return {what.rpartition(" ")[0] if what.startswith("file") else what for what in seen(folder).values()}


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


# Rights, places, limits


@pytest.mark.parametrize("umask", [0o077, 0o000, 0o777])
def test_any_umask_gives_the_same_bundle_and_the_same_node(umask: int, tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path / "recipe")
    node = TestNode(tmp_path / "node")
    for home, mask in ((tmp_path / "want", 0o022), (tmp_path / "got", umask)):
        more: dict[str, Any] = {"umask": mask}
        home.mkdir()
        run(build_command(recipe, home), **more)
        (folder,) = (home / "out").iterdir()
        run(stage_command(folder, home / "node"), **more)
        run(extract_command(home / "node", node.shims), **more)
    for name in ("out", "node"):
        got, want = (without_paths(seen(tmp_path / home / name), tmp_path / home) for home in ("got", "want"))
        assert got == want


def without_paths(found: dict[str, str], home: Path) -> dict[str, str]:
    return {name: what.replace(str(home), "HOME") for name, what in found.items() if "trust" not in name}


def test_without_a_home_the_store_has_to_be_named(tmp_path: Path) -> None:
    recipe = plain_recipe(tmp_path / "recipe")
    words = ("build", recipe, "--output", tmp_path / "out", "--progress", "none")
    said = run(sealift(*words), env=PATH_ONLY, code=UsageError.exit_code)
    assert "nothing says where the store is" in said and "--store DIR" in said
    run(sealift(*words, "--store", tmp_path / "store"), env=PATH_ONLY)
    with read_only(tmp_path / "recipe"):
        said = run(sealift(*words), env={**PATH_ONLY, "HOME": str(tmp_path / "recipe")}, code=1)
    assert "Read-only file system" in said and ".cache" in said


def test_a_tmpdir_that_is_not_there_does_not_matter(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path / "recipe")
    run(build_command(recipe, tmp_path), env={**os.environ, "TMPDIR": str(tmp_path / "nowhere")})


def test_few_file_descriptors_are_enough(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path / "recipe")
    limited = ["prlimit", "--nofile=64"]
    run([*limited, *build_command(recipe, tmp_path, "--jobs", "8")])
    (folder,) = (tmp_path / "out").iterdir()
    run([*limited, *stage_command(folder, tmp_path / "node")])
    run([*limited, *extract_command(tmp_path / "node", TestNode(tmp_path).shims)])
    run([*limited, *sealift("verify", folder, "--insecure-no-signature")])


def test_anybody_may_build_in_a_store_of_his_own(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("root becomes somebody else here; everybody else is that already")
    home = Path("/tmp") / f"sealift-nobody-{os.getpid()}"  # pytest's own folders are root's alone
    try:
        recipe = tiny_recipe(home / "recipe")
        subprocess.run(["chown", "-R", "65534:65534", home], check=True)
        want = tree(run_build(recipe, tmp_path))
        as_nobody(home, lambda: run_build(recipe, home))
        assert bundle_of(home) == want

        def elsewhere() -> None:
            with pytest.raises(SealiftError, match="Permission denied") as caught:
                run_build(recipe, tmp_path)
            assert caught.value.hint

        as_nobody(home, elsewhere)
    finally:
        shutil.rmtree(home)


def as_nobody(home: Path, act: Callable[[], object]) -> None:
    """In a child without any rights but in `home`; the interpreter itself may lie where only root may look."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads of the test runner
        pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            tempfile.tempdir = str(home)
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# Clocks


@pytest.mark.parametrize("step", [-3600.0, 86_400.0 * 4000])
def test_a_clock_that_jumps_changes_nothing_of_a_build(step: float, tmp_path: Path) -> None:
    recipe = plain_recipe(tmp_path / "recipe")
    want = tree(run_build(recipe, tmp_path / "alone"))
    ticks: Iterator[float] = itertools.count(1e9, step)
    options = BuildOptions(
        output=tmp_path / "out",
        store=Store(tmp_path / "store"),
        talk=SilentTalk(),
        host=AMD64,
        env=os.environ,
        clock=lambda: next(ticks),
    )
    assert tree(build(recipe, options).folder) == want


@pytest.mark.parametrize("when", [0, 4_000_000_000])
def test_files_from_another_time_change_nothing(when: int, tmp_path: Path) -> None:
    recipe = plain_recipe(tmp_path / "recipe")
    want = tree(run_build(recipe, tmp_path))
    for folder in (tmp_path / "store", tmp_path / "out", recipe):
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (when, when), follow_symlinks=False)
    bundle = run_build(recipe, tmp_path)
    assert tree(bundle) == want
    node = TestNode(tmp_path / "node")
    node.stage(bundle)
    for path in node.layout.data.rglob("*"):
        os.utime(path, (when, when), follow_symlinks=False)
    node.extract()
    first = seen(node.layout.data)
    node.stage(bundle)
    node.extract()
    assert seen(node.layout.data) == first
