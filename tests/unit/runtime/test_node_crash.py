"""A kill -9 before every single change of the filesystem: nothing half done is visible, the next run completes it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import admitted
from runtime.layout import VersionLayout
from runtime.record import State, first_difference, read_record, state_of
from runtime.trusting import audit, memory
from runtime.trusting.places import TrustPlaces
from tests.support.kills import every_kill
from tests.support.nodedirs import TestNode, seen
from tests.support.releases import CHART, program, release

SECOND = "v1.34.5-rke2r1"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return release(tmp_path / "usb", programs={"kubelet": program(b"1")})


@pytest.fixture
def second(tmp_path: Path) -> Path:
    more = {"rke2-images-flannel": {"flannel": program(b"f")}}
    return release(tmp_path / "usb", SECOND, programs={"kubelet": program(b"2")}, more=more, sequence=2)


@pytest.fixture
def node(tmp_path: Path) -> TestNode:
    return TestNode(tmp_path / "node")


def expected(node: TestNode, *steps: Callable[[], object]) -> dict[str, str]:
    """What the node looks like after these steps without a kill; the node is then as it was."""
    back = snapshot(node)
    for step in steps:
        step()
    found = standing(node)
    back()
    return found


def snapshot(node: TestNode) -> Callable[[], None]:
    """A copy of the node, hard links as well; calling it brings the node back to the same place."""
    saved = node.root.with_name("saved")
    node.root.mkdir(exist_ok=True)
    subprocess.run(["rm", "-rf", saved], check=True)
    subprocess.run(["cp", "-a", node.root, saved], check=True)

    def back() -> None:
        shutil.rmtree(node.root)
        subprocess.run(["cp", "-a", saved, node.root], check=True)

    return back


def every_kill_of(node: TestNode, act: Callable[[], object], check: Callable[[], None]) -> int:
    """Kills `act` at each change, from the same state each time, and checks; returns the number of kills."""
    back = snapshot(node)

    def again() -> Callable[[], object]:
        back()
        return act

    kills = 0
    for _ in every_kill(again):
        check()
        kills += 1
    return kills


def contents(folder: Path) -> set[tuple[str, bytes]]:
    return {(path.relative_to(folder).as_posix(), path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def assert_nothing_half(node: TestNode, *bundles: Path) -> None:
    """What others read is whole: archives, kept bundles, the record, version folders, manifests."""
    layout = node.layout
    archives = {path.read_bytes() for bundle in bundles for path in (bundle / "images").iterdir()}
    for path in visible(layout.images, hidden_too=True):
        assert path.read_bytes() in archives, path
    for path in visible(layout.bundles):
        assert contents(path) in [contents(bundle) for bundle in bundles], path
    if (record := admitted.read(layout.admitted)) is not None:
        assert (layout.bundles / record.bundle).is_dir()
    for path in visible(layout.versions):
        if state_of(VersionLayout(path)) is not State.UNFINISHED:
            assert first_difference(VersionLayout(path), read_record(VersionLayout(path))) == ""
    for path in visible(layout.manifests, hidden_too=True):
        assert path.read_bytes() == CHART


def visible(folder: Path, *, hidden_too: bool = False) -> list[Path]:
    names = sorted(folder.iterdir()) if folder.exists() else []
    return [path for path in names if hidden_too or not path.name.startswith(".sealift-")]


def standing(node: TestNode) -> dict[str, str]:
    """What a node holds, without the history of how it came there, whose chain holds after every kill."""
    places = TrustPlaces.of(node.layout)
    audit.check_end(audit.head(places.audit), memory.read(places.memory).audit, where=places.audit)
    return {name: what for name, what in seen(node.layout.data).items() if not name.startswith("sealift/trust/")}


def test_a_killed_stage_is_completed_by_the_next_one(node: TestNode, first: Path) -> None:
    whole = expected(node, lambda: node.stage(first))

    def check() -> None:
        assert_nothing_half(node, first)
        node.stage(first)
        assert standing(node) == whole

    assert every_kill_of(node, lambda: node.stage(first), check) > 20


def test_a_killed_upgrade_is_completed_or_rolled_back(node: TestNode, first: Path, second: Path) -> None:
    node.stage(first)
    upgraded = expected(node, lambda: node.stage(second))
    rolled_back = expected(node, lambda: node.stage(second), lambda: node.stage(first))
    images_before = seen(node.layout.images)

    def check() -> None:
        assert_nothing_half(node, first, second)
        node.stage(first)
        assert seen(node.layout.images) == images_before
        node.stage(second)
        assert standing(node) == upgraded
        node.stage(first)
        assert standing(node) == rolled_back

    assert every_kill_of(node, lambda: node.stage(second), check) > 20


def test_a_killed_extraction_is_completed_by_the_next_one(node: TestNode, first: Path) -> None:
    node.stage(first)
    whole = expected(node, lambda: node.extract())

    def check() -> None:
        assert_nothing_half(node, first)
        node.extract()
        assert standing(node) == whole

    assert every_kill_of(node, lambda: node.extract(), check) > 10


def test_a_killed_upgrade_of_the_version_folder_is_completed(node: TestNode, first: Path, second: Path) -> None:
    """The old version folder goes away in one step: a half removed one would still carry its marker."""
    node.stage(first)
    old = node.extract().folder
    node.stage(second)
    whole = expected(node, lambda: node.extract())
    assert not any(name.startswith(f"data/{old.name}") for name in whole)

    def check() -> None:
        assert_nothing_half(node, first, second)
        assert (node.layout.data / "bin/kubelet").read_bytes() in (program(b"1"), program(b"2"))
        node.extract()
        assert standing(node) == whole

    assert every_kill_of(node, lambda: node.extract(), check) > 10


def test_a_killed_replacement_is_completed(node: TestNode, first: Path) -> None:
    node.stage(first)
    folder = node.extract().folder
    (folder / "bin/kubelet").write_bytes(program(b"edited"))
    whole = expected(node, lambda: node.extract(replace=True))

    def check() -> None:
        node.extract(replace=True)
        assert standing(node) == whole

    assert every_kill_of(node, lambda: node.extract(replace=True), check) > 10
