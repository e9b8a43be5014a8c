"""Files out of packages that dpkg-deb made, and a file beside the recipe."""

import contextlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import StepError
from builder.lock.model import LockedFile, LockedInput
from builder.plan.model import Receipt
from builder.recipe.model import DebComponent, FileComponent
from builder.steps import deb, file
from builder.steps.debfile import DebFile
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, SealiftError
from tests.support.stepping import AMD64, STATIC_PROGRAM, a_recipe, run_job, write_tree

TOOL = DebComponent(
    name="tool",
    package="tool",
    version="1.2-3",
    files={"tool": PurePosixPath("usr/bin/tool"), "notes": PurePosixPath("usr/share/tool/notes")},
    static=True,
)
CONTROL = "Package: tool\nVersion: 1.2-3\nArchitecture: amd64\nMaintainer: A <a@example.test>\nDescription: a tool\n"
COMPRESSIONS = ("none", "gzip", "xz", "zstd")


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    top = tmp_path_factory.mktemp("deb")
    root = write_tree(top / "root", {"DEBIAN/control": CONTROL, "usr/share/tool/notes": "read me\n"})
    (root / "usr/bin").mkdir()
    (top / "tool.c").write_text(STATIC_PROGRAM)
    for name, options in (("tool", ["-static"]), ("dynamic", [])):
        command = ["gcc", "-Os", "-s", "-DVERSION=1", *options, "-o", f"root/usr/bin/{name}", "tool.c"]
        subprocess.run([word.replace("VERSION=1", 'VERSION="1"') for word in command], cwd=top, check=True)
    os.link(root / "usr/bin/tool", root / "usr/bin/same")
    for name, goal in (
        ("usr/bin/relative", "../bin/tool"),
        ("usr/bin/absolute", "/usr/bin/tool"),
        ("usr/bin/climbing", "../../../../usr/bin/tool"),
        ("usr/bin/nowhere", "gone"),
        ("usr/bin/circle", "circle"),
    ):
        os.symlink(goal, root / name)
    made = {}
    for compression in COMPRESSIONS:
        target = top / f"{compression}.deb"
        command = ["dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", "root", str(target)]
        subprocess.run(command, cwd=top, check=True, capture_output=True)
        made[compression] = target.read_bytes()
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def take(package: bytes, store: Store, component: DebComponent = TOOL) -> Receipt:
    locked = LockedFile(name="tool.deb", size=len(package), digest=store.put(package))
    source = LockedInput(component="tool", source="deb:stable/tool=1.2-3", files=(locked,))
    return run_job(deb.describe(component, source, AMD64), a_recipe(Path("/nowhere"), component), store)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_named_files_are_taken_with_their_executability(
    packages: dict[str, bytes], store: Store, compression: str
) -> None:
    receipt = take(packages[compression], store)
    assert {name: output.mode for name, output in receipt.outputs.items()} == {"tool": 0o755, "notes": 0o644}
    assert store.read(receipt.outputs["notes"].digest) == b"read me\n"
    assert receipt.facts["package"] == "tool=1.2-3"
    assert set(receipt.facts["programs"]) == {"tool"}
    assert receipt.facts["programs"]["tool"]["elf"]["static"]


@pytest.mark.parametrize("path", ["usr/bin/relative", "/usr/bin/absolute", "usr/bin/climbing", "./usr/bin/same"])
def test_links_inside_the_package_are_followed(packages: dict[str, bytes], path: str) -> None:
    package = DebFile(packages["xz"], where="tool.deb")
    assert package.file(path) == package.file("usr/bin/tool")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("usr/bin/nowhere", "no such file"),
        ("usr/bin/missing", "no such file"),
        ("../../etc/passwd", "no such file"),
        ("usr/bin/circle", "too many links"),
        ("usr/bin", "not a regular file"),
    ],
)
def test_other_paths_are_refused(packages: dict[str, bytes], path: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        DebFile(packages["xz"], where="tool.deb").file(path)


def test_a_dynamic_program_is_refused_where_the_recipe_wants_static(packages: dict[str, bytes], store: Store) -> None:
    component = replace(TOOL, files={"dynamic": PurePosixPath("usr/bin/dynamic")})
    with pytest.raises(StepError, match=r"dynamic: it is not static: it needs the loader"):
        take(packages["xz"], store, component)
    facts = take(packages["xz"], store, replace(component, static=False)).facts["programs"]["dynamic"]
    assert facts["elf"]["needed"] == ["libc.so.6"]


@pytest.mark.parametrize("compression", COMPRESSIONS[1:])
def test_data_above_the_limit_is_not_unpacked(packages: dict[str, bytes], compression: str) -> None:
    with pytest.raises(LimitError, match="too large"):
        DebFile(packages[compression], where="tool.deb", limit=4096)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_damage_ends_in_one_of_our_errors(packages: dict[str, bytes], data: st.DataObject) -> None:
    package = bytearray(packages[data.draw(st.sampled_from(COMPRESSIONS))])
    for _ in range(data.draw(st.integers(1, 4))):
        package[data.draw(st.integers(0, min(len(package), 8192) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SealiftError):
        DebFile(bytes(package[: data.draw(st.integers(0, len(package)))]), where="tool.deb").file("usr/bin/tool")


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_a_file_gets_the_mode_of_the_recipe(tmp_path: Path, store: Store, mode: int) -> None:
    write_tree(tmp_path, {"etc/conf": "a = b\n"})
    component = FileComponent(name="conf", path=PurePosixPath("etc/conf"), mode=mode)
    locked = LockedInput(component="conf", source="file:etc/conf", digest=Digest.of(b"a = b\n"))
    receipt = run_job(file.describe(component, locked), a_recipe(tmp_path, component), store)
    assert receipt.outputs["conf"].mode == mode
    (tmp_path / "etc/conf").write_text("a = c\n")
    with pytest.raises(StepError, match="changed since the lock"):
        run_job(file.describe(component, locked), a_recipe(tmp_path, component), store)
