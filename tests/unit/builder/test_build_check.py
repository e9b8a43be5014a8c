"""`build --check`: what comes out the same is said, and of what does not, where and how it differs."""

import gzip
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.again import bundle_differences, packed_otherwise
from builder.build import BuildOptions, build
from builder.facts.bytesdiff import differing, explain, sections
from builder.plan.graph import make_plan
from builder.plan.model import Receipt, Step
from builder.progress import SilentTalk
from builder.steps.context import Job
from builder.store import Store
from bundles import jsontext
from bundles.errors import SealiftError
from bundles.platform import Platform
from tests.support import tars
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
        (b"\0" * 40 + b"1", b"\0" * 40 + b"2", "all of it: 1 of 41 bytes, first at 0x28: "),
        (b"a: 1\nb: 2\nc: 3\n", b"a: 1\nb: 3\nc: 4\n", "line 2: 'b: 2' / 'b: 3', and 1 more"),
        (b"same", b"same and more", "line 1: 'same' / 'same and more'"),
        (b"\0same", b"\0same and more", "another size: 5 bytes, then 14, first at 0x5: its end / 'same and more'"),
        (b"\x7fELF" + b"\0" * 9, b"\x7fELF" + b"\1" * 9, "all of it: 9 of 13 bytes, first at 0x4: "),
        (b"", b"\0\1", "another size: 0 bytes, then 2, first at 0x0: its end / 00 01"),
    ],
)
def test_other_files_are_told_by_their_first_bytes(one: bytes, two: bytes, row: str) -> None:
    (got,) = explain(one, two)
    assert got.startswith(row)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_tar_is_told_by_its_members(suffix: str) -> None:
    def packed(**more: Any) -> bytes:
        members = [tars.member("chart/values.yaml", more.get("text", b"a: 1\n")), tars.member("same", b"x")]
        members.append(tars.member("run", b"\0\1", mode=more.get("mode", 0o644)))
        content = tars.tar(*members[: more.get("count", 3)])
        return gzip.compress(content, mtime=0) if suffix else content

    assert explain(packed(), packed(text=b"a: 2\n")) == ["member chart/values.yaml: line 1: 'a: 1' / 'a: 2'"]
    assert explain(packed(), packed(mode=0o755)) == ["member run: mode 0644 / 0755"]
    assert explain(packed(), packed(count=2)) == ["member run: only the first has it"]


def test_where_archives_alone_differ_they_are_compared_and_not_the_blobs_of_steps() -> None:
    one = {name: Receipt(outputs={}, facts={"n": n}) for n, name in enumerate(("component a", "layer b 1"))}
    jobs = [Job(step=Step(name=name, kind=name.split()[0], version=1, description={}), run=lambda _: one["layer b 1"])
            for name in one]  # fmt: skip
    other = Receipt(outputs={}, facts={"n": 9})
    assert packed_otherwise(make_plan(jobs, ()), one, {**one, "layer b 1": other})
    assert not packed_otherwise(make_plan(jobs, ()), one, {**one, "component a": other})


def test_bundles_of_the_same_steps_that_differ_are_told_by_file_and_field(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path / "recipe")
    one = build(recipe, replace(options(tmp_path / "1"), check=False)).folder
    two = build(recipe, replace(options(tmp_path / "2"), check=False)).folder
    said = json.loads((two / "provenance.json").read_bytes())
    said["predicate"]["buildDefinition"]["internalParameters"]["epoch"] += 1
    (two / "provenance.json").write_bytes(jsontext.encode_canonical(said))
    (row,) = bundle_differences(one, two)
    assert row.startswith("provenance.json: predicate.buildDefinition.internalParameters.epoch: ours 1771545600, ")


def test_nothing_is_said_of_equal_files_and_counting_ends() -> None:
    assert explain(b"x", b"x") == [] and sections(b"text") == {}
    assert differing(b"\0" * (3 << 20), b"\1" * (3 << 20)) == (0, 1 << 20)


def test_a_check_takes_other_options_than_the_build_and_leaves_nothing(tmp_path: Path) -> None:
    chosen = options(tmp_path)
    build(tiny_recipe(tmp_path / "recipe"), replace(chosen, jobs=1))
    assert list((tmp_path / "store/tmp").iterdir()) == []
