"""The machine's C tools: which of them a recipe asks for, and what they say of themselves."""

import os
from pathlib import Path, PurePosixPath

import pytest

from builder.buildroot.model import c_packages
from builder.recipe.model import CompileComponent, FileComponent, Fips, GoComponent
from builder.steps.tools import host_tools
from bundles.errors import MissingError
from tests.support.stepping import a_recipe

C = CompileComponent(
    name="c", source="./src", version="", run=("make",), output={"c": PurePosixPath("c")}, needs=("make",)
)
GO = GoComponent(name="go", module="example.test/x", version="v1.0.0", folder=None, packages={"x": ""})
CGO = GoComponent(
    name="cgo", module="example.test/y", version="v1.0.0", folder=None, packages={"y": ""}, cgo=True,
    needs=("libseccomp-dev",),
)  # fmt: skip
FILE = FileComponent(name="file", path=PurePosixPath("x"))


def test_only_what_compiles_c_depends_on_the_c_tools() -> None:
    found = c_packages(a_recipe(Path("/nowhere"), C, GO, CGO, FILE))
    assert found == {
        "c": ("binutils", "gcc", "libc6-dev", "make"),
        "cgo": ("binutils", "gcc", "libc6-dev", "libseccomp-dev"),
    }


def test_boringcrypto_is_c() -> None:
    assert "go" in c_packages(a_recipe(Path("/nowhere"), GO, fips=Fips.BORINGCRYPTO))
    assert "go" not in c_packages(a_recipe(Path("/nowhere"), GO, fips=Fips.GO_NATIVE))


def test_versions_are_those_of_package_and_program() -> None:
    tools = host_tools(["gcc", "make", "gcc"], os.environ)
    assert list(tools) == ["gcc", "make"]
    assert "gcc (" in tools["gcc"] and "GNU Make" in tools["make"]


def test_a_missing_package_is_named_with_the_command_that_brings_it() -> None:
    with pytest.raises(MissingError, match="apt-get install libnothing-such-dev"):
        host_tools(["libnothing-such-dev"], os.environ)


def test_a_machine_without_the_compiler_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="gcc is not installed"):
        host_tools(["gcc"], {"PATH": str(tmp_path)})
