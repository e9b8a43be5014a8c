"""`build --check`: what comes out the same is said, and of what does not, where and how it differs."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from builder.build import BuildOptions, build
from builder.facts.bytesdiff import differing, explain, sections
from builder.progress import SilentTalk
from builder.store import Store
from bundles.errors import SealiftError
from bundles.platform import Platform
from tests.support.recipes import COMPONENTS, tiny_recipe, write_lock

STRAY = "gcc -Os -static -DVERSION=$version -o tool tool.c"
LEAKING = 'n=$(od -An -N8 -tx1 /dev/urandom | tr -d " "); sed -i "s/tool \\"/tool built as $n \\"/" tool.c'


def options(tmp_path: Path, path: str = os.environ["PATH"]) -> BuildOptions:
    return BuildOptions(
        output=tmp_path / "out",
        store=Store(tmp_path / "store"),
        talk=SilentTalk(),
        host=Platform.parse("linux/amd64"),
        env={**os.environ, "PATH": path},
        check=True,
    )


def leaking(folder: Path) -> Path:
    """A recipe whose program holds a random number."""
    recipe = tiny_recipe(folder)
    run = f"run:\n    - {LEAKING}\n    - {STRAY}"
    (recipe / "components.yaml").write_text(COMPONENTS.replace(f"run: [{STRAY}]", run))
    write_lock(recipe)
    return recipe


def test_two_builds_with_the_same_bytes_pass(tmp_path: Path) -> None:
    assert build(tiny_recipe(tmp_path / "recipe"), options(tmp_path)).written


def test_a_build_that_differs_names_step_file_section_and_bytes(tmp_path: Path) -> None:
    with pytest.raises(SealiftError, match="two builds of one lock differ") as caught:
        build(leaking(tmp_path / "recipe"), options(tmp_path))
    text = str(caught.value)
    assert "component tool: tool" in text
    assert ".rodata" in text and "first at 0x" in text and "built as" in text
    assert "layer" not in text  # what only follows is not told
    assert not (tmp_path / "out").exists() or "check" not in str(list((tmp_path / "out").iterdir()))


def test_diffoscope_writes_all_of_it_down_where_it_is_installed(tmp_path: Path) -> None:
    """A stand-in with its interface: --text FILE, exit code 1 for differences (diffoscope(1))."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "diffoscope").write_text('#!/bin/sh\ntest "$#" = 5 && cmp "$4" "$5" > "$3" ; exit 1\n')
    (tools / "diffoscope").chmod(0o755)
    with pytest.raises(SealiftError) as caught:
        build(leaking(tmp_path / "recipe"), options(tmp_path, f"{tools}:{os.environ['PATH']}"))
    assert "all of it in" in str(caught.value)
    (report,) = (tmp_path / "store/logs").glob("differs-*.txt")
    assert "differ: " in report.read_text()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """One program with two texts of the same length."""
    folder = tmp_path_factory.mktemp("programs")
    made = []
    for text in ("built on monday", "built on sunday"):
        (folder / "a.c").write_text(f'#include <stdio.h>\nint main(void) {{ return puts("{text}"); }}\n')
        subprocess.run(["gcc", "-Os", "-Wl,--build-id=none", "-o", "a", "a.c"], cwd=folder, check=True)
        made.append((folder / "a").read_bytes())
    return made[0], made[1]


def test_only_the_sections_that_differ_are_named(programs: tuple[bytes, bytes]) -> None:
    (row,) = explain(*programs)
    assert row.startswith(".rodata: 2 of ") and "'built on monday' / 'built on sunday'" in row
    offset = int(row.partition("first at ")[2].partition(":")[0], 16)
    assert programs[0][offset : offset + 1] == b"m"


def test_a_section_that_only_one_has_is_named(programs: tuple[bytes, bytes], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(programs[0])
    subprocess.run(["strip", "--remove-section=.comment", "a"], cwd=tmp_path, check=True)
    rows = explain(programs[0], (tmp_path / "a").read_bytes())
    assert ".comment: only the first has this section" in rows


@pytest.mark.parametrize(
    ("one", "two", "row"),
    [
        (b"a" * 40 + b"1", b"a" * 40 + b"2", "all of it: 1 of 41 bytes, first at 0x28: "),
        (b"same", b"same and more", "another size: 4 bytes, then 13, first at 0x4: its end / 'same and more'"),
        (b"\x7fELF" + b"\0" * 9, b"\x7fELF" + b"\1" * 9, "all of it: 9 of 13 bytes, first at 0x4: "),
        (b"", b"\0\1", "another size: 0 bytes, then 2, first at 0x0: its end / 00 01"),
    ],
)
def test_other_files_are_told_by_their_first_bytes(one: bytes, two: bytes, row: str) -> None:
    (got,) = explain(one, two)
    assert got.startswith(row)


def test_nothing_is_said_of_equal_files_and_counting_ends() -> None:
    assert explain(b"x", b"x") == [] and sections(b"text") == {}
    assert differing(b"\0" * (3 << 20), b"\1" * (3 << 20)) == (0, 1 << 20)


def test_a_check_takes_other_options_than_the_build_and_leaves_nothing(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    build(tiny_recipe(tmp_path / "recipe"), replace(chosen, jobs=1))
    assert list((tmp_path / "store/tmp").iterdir()) == []
