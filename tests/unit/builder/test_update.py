"""Updating: the newest patch in the line, the fewest bytes of the recipe changed, the lock said in words."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder.errors import RecipeError, StepError
from builder.lock.text import read_lock
from builder.recipe.read import read_recipe
from builder.resolve import ResolveOptions, resolve, write
from builder.update.edit import Edit, edited, still_says
from builder.update.run import Wish, apply, look
from builder.update.versions import (
    compare_packages,
    newest_module,
    newest_package,
    newest_toolchain,
    next_bundle,
    same_patch,
)
from bundles.errors import FormatError
from tests.support.golab import TOOLCHAIN, GoLab
from tests.support.gotools import go_program
from tests.support.programs import serve_toolchain

BUNDLE = f"""\
sealift: 1
name: lab
version: v1.2.0-rke2r3   # follows app
sequence: 7
platforms: [linux/amd64]
go: {TOOLCHAIN}   # the exact one
runtime: rke2-runtime
archives:
  rke2-runtime: [rke2-runtime]
"""
COMPONENTS = """\
# Why these: see the page.
app:
  go: "example.test/app@v1.2.0"     # quoted, with a comment
  from: cmd
  build: [app]
  replace: {example.test/lib/*: v1.0.0}   # upstream asks for v0.0.0
"""
IMAGES = """\
rke2-runtime:
  name: rancher/rke2-runtime
  layers:
    - app: /bin
"""


@pytest.mark.parametrize(
    ("version", "served", "want"),
    [
        ("v1.2.3", ["v1.2.4", "v1.2.10", "v1.3.0", "v2.2.9"], "v1.2.10"),
        ("v1.2.3", ["v1.2.1", "v1.2.3"], "v1.2.3"),
        ("v1.2.3", ["v1.2.4-rc.1", "v1.2.4-0.20250101000000-abcdefabcdef"], "v1.2.3"),
        ("v26.1.4+incompatible", ["v26.1.5+incompatible", "v26.2.0+incompatible"], "v26.1.5+incompatible"),
        ("v0.0.0-20250101000000-abcdefabcdef", ["v0.0.1"], "v0.0.0-20250101000000-abcdefabcdef"),
    ],
)
def test_a_module_stays_in_its_line(version: str, served: list[str], want: str) -> None:
    assert newest_module(version, served) == want


def test_a_toolchain_stays_in_its_line() -> None:
    assert newest_toolchain("1.26.8", ["1.26rc1", "1.26.0", "1.26.11", "1.27.0"]) == "1.26.11"


def test_modules_of_one_release_move_in_step() -> None:
    assert same_patch("v0.34.4", "v1.34.4", "v1.34.6") == "v0.34.6"
    assert same_patch("v0.34.4", "v1.34.0", "v1.34.6") == ""


@pytest.mark.parametrize(
    "ordered",
    [
        ["1.0~rc1-1", "1.0-1", "1.0-1+deb12u1", "1.0-1.1", "1.0-2", "1.0a-1", "1.0+dfsg-1", "1.1-1", "1:0-1"],
        ["2.36-9+deb12u9", "2.36-9+deb12u10", "2.36-9+deb12u14"],
        ["1.7.4~~", "1.7.4~", "1.7.4", "1.7.4.4", "1.7.10"],
    ],
)  # fmt: skip
def test_debian_versions_are_ordered_as_dpkg_orders_them(ordered: list[str]) -> None:
    for number, one in enumerate(ordered):
        for other, two in enumerate(ordered):
            want = (number > other) - (number < other)
            assert compare_packages(one, two) == want, (one, two)
            relation = {0: "eq", 1: "gt", -1: "lt"}[want]
            subprocess.run(["dpkg", "--compare-versions", one, relation, two], check=True)
    assert newest_package(ordered[0], ordered) == ordered[-1]


@pytest.mark.parametrize(
    ("version", "moved", "want"),
    [
        ("v1.34.4-rke2r3", [("v1.34.4", "v1.34.5")], "v1.34.5-rke2r1"),
        ("v1.34.4-rke2r3", [("v1.7.35", "v1.7.36")], "v1.34.4-rke2r4"),
        ("v1.34.40-rke2r1", [("v1.34.4", "v1.34.5")], "v1.34.40-rke2r2"),
        ("v0.1.9", [], "v0.1.10"),
        ("v1.2.3", [("v1.2.3", "v1.2.4")], "v1.2.4"),
        ("v1-site", [], "v2-site"),
    ],
)
def test_the_bundle_s_version_grows(version: str, moved: list[tuple[str, str]], want: str) -> None:
    assert next_bundle(version, moved) == want


def test_an_edit_changes_its_own_bytes_alone() -> None:
    text = 'a:\n  go: "x@v1.2.0"   # v1.2.0\nb: {go: x@v1.2.0, list: [y=1, y=2]}\n'
    edits = [
        Edit(file="f", path=("b", "go"), old="@v1.2.0", new="@v1.2.9"),
        Edit(file="f", path=("b", "list", 1), old="=2", new="=3"),
    ]
    assert edited({"f": text.encode()}, edits)["f"].decode() == text.replace("{go: x@v1.2.0", "{go: x@v1.2.9").replace(
        "y=2", "y=3"
    )


@pytest.mark.parametrize("path", [("a", "none"), ("a",), ("b", 9), ("a", "go", "x")])
def test_an_edit_that_finds_nothing_is_an_error(path: tuple[str | int, ...]) -> None:
    with pytest.raises(FormatError):
        edited({"f": b"a: {go: x@v1}\nb: [y]\n"}, [Edit(file="f", path=path, old="@v1", new="@v2")])


def test_what_still_says_an_old_version_is_named() -> None:
    files = {"images.yaml": b"name: r/app:v1.12.4-build1\nother: v1.12.40\nmore: xv1.12.4\n"}
    assert still_says(files, ["v1.12.4"]) == ["images.yaml:1 still says v1.12.4"]


class Lab(GoLab):
    """A recipe in YAML, locked, and a proxy that has newer patches since."""

    def __post_init__(self) -> None:
        super().__post_init__()
        folder = self.root / "recipe"
        for name, text in (("bundle.yaml", BUNDLE), ("components.yaml", COMPONENTS), ("images.yaml", IMAGES)):
            (folder / name).write_text(text)
        write(resolve(read_recipe(folder), None, self.resolving(1)), folder)
        newer = {
            "go.mod": "module example.test/app\n\ngo 1.21\n\nrequire example.test/lib/alpha v0.0.0\n",
            "cmd/app/main.go": 'package main\n\nimport _ "example.test/lib/alpha"\n\nfunc main() {}\n',
        }
        for version in ("v1.2.1", "v1.2.2", "v1.3.0", "v1.2.3-rc.1"):
            self.proxy.add("example.test/app", version, newer)
        library = {
            "go.mod": "module example.test/lib/alpha\n\ngo 1.21\n",
            "alpha.go": 'package alpha\n\nconst Word = "a"\n',
        }
        self.proxy.add("example.test/lib/alpha", "v1.0.1", library)
        major, minor, patch = TOOLCHAIN.split(".")
        serve_toolchain(self.proxy, f"{major}.{minor}.{int(patch) + 1}", go_program())
        listed = self.root / "proxy/golang.org/toolchain/@v/list"
        listed.write_text("".join(f"{line}\n" for line in sorted(set(listed.read_text().split()))))

    @property
    def folder(self) -> Path:
        return self.root / "recipe"

    @property
    def later(self) -> ResolveOptions:
        return self.resolving(9)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_recipe_moves_to_the_newest_patches_and_nothing_else_changes_in_it(lab: Lab) -> None:
    found = look(lab.folder, Wish(), lab.later)
    assert [str(each) for each in found.newer] == [
        "go: toolchain 1.99.0 -> 1.99.1",
        "app: example.test/app v1.2.0 -> v1.2.2",
        "app: replace example.test/lib/* v1.0.0 -> v1.0.1",
    ]
    done = apply(lab.folder, found, Wish(), lab.later)
    assert (lab.folder / "components.yaml").read_text() == COMPONENTS.replace("v1.2.0", "v1.2.2").replace(
        "v1.0.0", "v1.0.1"
    )
    assert (lab.folder / "bundle.yaml").read_text() == BUNDLE.replace("v1.2.0-rke2r3", "v1.2.2-rke2r1").replace(
        "sequence: 7", "sequence: 8"
    ).replace("1.99.0", "1.99.1")
    assert "bundle: lab@v1.2.0-rke2r3 -> lab@v1.2.2-rke2r1" in done.changes
    assert "app: go:example.test/app@v1.2.0 -> go:example.test/app@v1.2.2" in done.changes
    again = look(lab.folder, Wish(), lab.later)
    assert not again.anything
    assert resolve(read_recipe(lab.folder), read_lock(lab.folder), lab.later).changed is False
    assert [path.name for path in lab.root.iterdir() if path.name.startswith(".sealift")] == []


def test_looking_changes_no_file(lab: Lab) -> None:
    before = files(lab.folder)
    assert look(lab.folder, Wish(), lab.later).anything
    assert files(lab.folder) == before


def test_one_component_moves_alone(lab: Lab) -> None:
    wish = Wish(names=("go",), same_version=True)
    apply(lab.folder, look(lab.folder, wish, lab.later), wish, lab.later)
    assert (lab.folder / "components.yaml").read_text() == COMPONENTS
    assert (lab.folder / "bundle.yaml").read_text() == BUNDLE.replace("1.99.0", "1.99.1")


def test_an_update_that_cannot_be_locked_changes_nothing(lab: Lab) -> None:
    found = look(lab.folder, Wish(), lab.later)
    (lab.root / "proxy/example.test/app/@v/v1.2.2.zip").unlink()
    before = files(lab.folder)
    with pytest.raises(Exception, match=r"v1\.2\.2"):
        apply(lab.folder, found, Wish(), lab.later)
    assert files(lab.folder) == before
    assert [path.name for path in lab.root.iterdir() if path.name.startswith(".sealift")] == []


def test_a_name_that_is_no_component_is_told_with_those_there_are(lab: Lab) -> None:
    with pytest.raises(RecipeError, match="no component ap") as caught:
        look(lab.folder, Wish(names=("ap",)), lab.later)
    assert "app" in caught.value.hint


def test_what_nobody_lists_is_told_and_the_rest_is_looked_at(lab: Lab) -> None:
    (lab.root / "proxy/example.test/app/@v/list").unlink()
    (lab.root / "proxy/example.test/app").rename(lab.root / "gone")
    found = look(lab.folder, Wish(), lab.later)
    assert any("example.test/app" in line for line in found.unknown)
    assert [each.component for each in found.newer] == ["go", "app"]  # the toolchain, and what is replaced
    with pytest.raises(StepError, match=r"example\.test/app"):
        look(lab.folder, Wish(names=("app",)), lab.later)


def test_check_ends_with_1_when_something_is_newer_and_0_when_not(lab: Lab) -> None:
    command = [sys.executable, "-c", "from builder.cli import main; main()", "update", str(lab.folder), "--check"]
    environment = {**lab.environment, "SEALIFT_STORE": str(lab.root / "store")}
    told = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert told.returncode == 1 and "app: example.test/app v1.2.0 -> v1.2.2" in told.stdout
    apply(lab.folder, look(lab.folder, Wish(), lab.later), Wish(), lab.later)
    told = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert told.returncode == 0 and "nothing newer" in told.stdout, told.stderr
