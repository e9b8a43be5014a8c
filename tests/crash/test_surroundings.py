"""Strange surroundings: no rights, no home, few descriptors, other people, clocks that jump."""

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
from tests.support.bundles import tree
from tests.support.disk_mounts import read_only
from tests.support.nodedirs import TestNode, seen
from tests.support.recipes import tiny_recipe
from tests.support.recording_build import AMD64, plain_recipe, run_build
from tests.support.recording_commands import build_command, extract_command, run, sealift, stage_command

PATH_ONLY = {"PATH": os.environ["PATH"]}


def bundle_of(home: Path) -> dict[str, bytes]:
    (folder,) = (home / "out").iterdir()
    return tree(folder)


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
