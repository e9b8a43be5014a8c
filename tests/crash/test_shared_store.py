"""One store for several clones at once, one of them killed; and what a store does that somebody was at.

Real compilers: C in a build root, cgo, Go, with Go's compile cache in the store.
"""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.buildroot.model import closure, closure_digest
from builder.lock.text import read_lock
from builder.store import remove_tree
from tests.support.bundles import tree
from tests.support.mixed import mixed_recipe
from tests.support.node import sealift
from tests.support.recording_build import check_store
from tests.support.recording_commands import build_command, start

pytestmark = pytest.mark.real
WRITTEN, ALTERED = b"as it was written", b"as it was altered"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Clones `one`, `two`, `three` of a recipe, an input archive, and `alone`: the bundle as one build makes it."""
    home = tmp_path_factory.mktemp("shared")
    recipe = mixed_recipe(home / "one")
    for name in ("two", "three"):
        shutil.copytree(recipe, home / name)
    sealift("fetch", recipe, "--to", home / "inputs")
    sealift("build", recipe, "--output", home / "alone")
    yield home
    remove_tree(home)  # a gigabyte


def begin(home: Path, clone: str, *more: str) -> "subprocess.Popen[str]":
    """A build of a clone into its own output, with the one store."""
    words = ["--inputs", str(home / "inputs"), "--offline", "--cache", str(home / "store"), *more]
    command = build_command(home / clone, home / f"made-{clone}")
    at = command.index("--store")
    return start([*command[:at], *command[at + 2 :], *words])


def made(home: Path, clone: str) -> dict[str, bytes]:
    (folder,) = (home / f"made-{clone}/out").iterdir()
    return tree(folder)


def test_two_clones_share_a_cold_store_at_once_while_a_third_is_killed(shared: Path) -> None:
    want = tree(next((shared / "alone").iterdir()))
    builds = {name: begin(shared, name) for name in ("three", "one", "two")}
    deadline = time.monotonic() + 300
    while not list((shared / "store/tmp").glob("step.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    builds["three"].send_signal(signal.SIGKILL)
    for name, process in builds.items():
        _, said = process.communicate(timeout=300)
        assert process.returncode == (-signal.SIGKILL if name == "three" else 0), (name, said)
    assert made(shared, "one") == made(shared, "two") == want
    check_store(shared / "store")
    code, said = build(shared, "three")
    assert code == 0, said
    assert made(shared, "three") == want and not list((shared / "store/tmp").iterdir())


def plan(home: Path, clone: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = json.loads(sealift("plan", home / clone, "--store", home / "store", "--json").stdout)[
        "steps"
    ]
    return steps


def again(home: Path, component: str = "", layers_of: str = "") -> None:
    """Forgets a component of the recipe of that name, or its layers alone, and what is made from it."""
    for step in plan(home, component or layers_of):
        if step["kind"] in ("layer", "image") or step["name"] == f"component {component}":
            (home / "store/steps" / f"{step['id'].removeprefix('sha256:')}.json").unlink(missing_ok=True)


def build(home: Path, clone: str, *more: str) -> tuple[int, str]:
    shutil.rmtree(home / f"made-{clone}", ignore_errors=True)
    process = begin(home, clone, *more)
    _, said = process.communicate(timeout=300)
    return process.returncode, said


def first(home: Path, name: str) -> dict[str, bytes]:
    """A recipe with one component of that name, built in the store: its bundle."""
    if not (home / name).exists():
        mixed_recipe(home / name, name)
    code, said = build(home, name)
    assert code == 0, said
    return made(home, name)


def test_a_root_that_somebody_changed_is_made_again(shared: Path) -> None:
    want = first(shared, "tool")
    (header,) = (shared / "store/roots").glob(f"{root_of(shared)}*/usr/include/stdio.h")
    header.write_text(header.read_text() + '#define printf(...) puts("altered")\n')
    again(shared, "tool")
    code, said = build(shared, "tool")
    assert code == 0 and made(shared, "tool") == want, said
    assert "altered" not in header.read_text()


def root_of(home: Path) -> str:
    lock = read_lock(home / "tool")
    return closure_digest(closure(lock.buildroot, ["libseccomp-dev"])).hex


def test_a_blob_that_rotted_is_named_and_gets_into_no_bundle(shared: Path) -> None:
    want = first(shared, "tool")
    step = next(each["id"] for each in plan(shared, "tool") if each["name"] == "component tool")
    receipt = json.loads((shared / "store/steps" / f"{step.removeprefix('sha256:')}.json").read_text())
    blob = shared / "store/blobs/sha256" / receipt["outputs"]["tool"]["digest"].removeprefix("sha256:")
    whole = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again(shared, layers_of="tool")
    shutil.rmtree(shared / "store/frames")
    code, said = build(shared, "tool")
    assert code == 1 and "damaged" in said, said
    blob.write_bytes(whole)
    assert first(shared, "tool") == want


def test_an_entry_of_gos_cache_that_somebody_changed_is_told_by_check(shared: Path) -> None:
    """Go believes its cache: who can write there decides what is compiled. A second build from nothing sees it."""
    want = first(shared, "plain")
    entries = [path for path in (shared / "store/go").glob("build*/*/*-d") if WRITTEN in path.read_bytes()]
    assert entries
    before = {path: path.read_bytes() for path in entries}
    for path, data in before.items():
        path.chmod(0o644)
        path.write_bytes(data.replace(WRITTEN, ALTERED))
    again(shared, "plain")
    code, said = build(shared, "plain", "--check")
    assert code == 1 and "component plain: plain" in said and ".rodata" in said and "altered" in said, said
    for path, data in before.items():
        path.write_bytes(data)
    again(shared, "plain")
    assert first(shared, "plain") == want
