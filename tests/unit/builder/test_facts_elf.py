"""ELF facts against the real compiler: what is static passes, what is not is named."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.facts.elf import elf_facts
from builder.facts.program import Expectation, check_program
from bundles.platform import Platform

AMD64 = Platform.parse("linux/amd64")
WANT = Expectation(platform=AMD64)
SOURCE = "int main(void) { return 0; }\n"


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("elf")
    (folder / "tool.c").write_text(SOURCE)
    commands = {
        "static": ["-static"],
        "stripped": ["-static", "-s"],
        "dynamic": ["-Wl,--no-as-needed", "-lm"],
        "object": ["-c"],
    }
    return {name: compiled(folder, name, options) for name, options in commands.items()}


def compiled(folder: Path, name: str, options: list[str]) -> bytes:
    subprocess.run(["gcc", "-Os", "-o", name, "tool.c", *options], cwd=folder, check=True)
    return (folder / name).read_bytes()


def test_a_static_program_passes(programs: dict[str, bytes]) -> None:
    checked = check_program(programs["stripped"], WANT)
    assert checked.wrong == ()
    elf = {"bits": 64, "machine": "amd64", "type": "executable", "static": True, "stripped": True}
    assert checked.facts == {"elf": elf}
    assert not check_program(programs["static"], WANT).facts["elf"]["stripped"]


def test_a_dynamic_program_is_refused_by_the_names_of_what_it_needs(programs: dict[str, bytes]) -> None:
    checked = check_program(programs["dynamic"], WANT)
    text = "\n".join(checked.wrong)
    assert "/lib64/ld-linux-x86-64.so.2" in text
    assert "libm.so.6" in text and "libc.so.6" in text
    assert checked.facts["elf"]["needed"] == ["libm.so.6", "libc.so.6"]


def test_a_dynamic_program_passes_where_the_recipe_wants_it_so(programs: dict[str, bytes]) -> None:
    checked = check_program(programs["dynamic"], Expectation(platform=AMD64, static=False))
    assert checked.wrong == ()
    assert not checked.facts["elf"]["static"]


def test_a_program_for_another_machine_is_refused(programs: dict[str, bytes]) -> None:
    other = bytearray(programs["stripped"])
    other[18:20] = (183).to_bytes(2, "little")  # e_machine: AArch64
    assert check_program(bytes(other), WANT).wrong == ("it is for ELF machine 183 (64 bits), not for linux/amd64",)


def test_object_files_and_other_files_are_no_programs(programs: dict[str, bytes]) -> None:
    for content in (b"", b"#!/bin/sh\n", b"\x7fELF", programs["stripped"][:40]):
        assert check_program(content, WANT).wrong == ("it is not an ELF program",)
    assert check_program(programs["object"], WANT).wrong == ("it is no program, its ELF type is ET_REL",)


def test_a_version_must_be_in_the_bytes(programs: dict[str, bytes]) -> None:
    want = Expectation(platform=AMD64, version="v9.8.7-nowhere")
    assert "v9.8.7-nowhere is nowhere in it" in check_program(programs["stripped"], want).wrong[0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_never_takes_the_reader_down(programs: dict[str, bytes], data: st.DataObject) -> None:
    content = bytearray(programs["dynamic"])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, 1024))] = data.draw(st.integers(0, 255))
    elf_facts(bytes(content[: data.draw(st.integers(0, len(content)))]))
