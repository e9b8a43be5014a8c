"""What a machine needs follows from the recipe alone, and what it lacks is named all at once."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from builder import doctor
from builder.recipe.model import CompileComponent, DebComponent, Flavour, GoComponent, Recipe
from bundles.platform import Platform


@dataclass(frozen=True)
class FakeMachine:
    commands: frozenset[str] = field(default_factory=frozenset)
    packages: frozenset[str] = field(default_factory=frozenset)

    def has_command(self, name: str) -> bool:
        return name in self.commands

    def has_package(self, name: str) -> bool:
        return name in self.packages

    def free_space(self) -> int:
        return 1 << 40


def recipe(*components: GoComponent | CompileComponent | DebComponent) -> Recipe:
    return Recipe(
        folder=Path("r"),
        name="r",
        version="v1",
        flavour=Flavour.MODERN,
        sequence=1,
        platforms=(Platform.parse("linux/amd64"),),
        components={component.name: component for component in components},
        images={},
        charts={},
        archives={},
        runtime="rke2-runtime",
    )


PAUSE = CompileComponent(name="pause", source="./src", version="1", run=("true",), output={}, needs=("gcc", "binutils"))
RUNC = GoComponent(
    name="runc", module="m", version="v1", folder=None, packages={"runc": ""}, cgo=True, needs=("libseccomp-dev",)
)
SOCAT = CompileComponent(name="socat", source="deb-source:socat=1", version="1", run=("true",), output={})


def test_a_recipe_without_go_needs_no_go() -> None:
    assert [need.package for need in doctor.needs(recipe(PAUSE))] == ["util-linux", "gcc", "libc6-dev", "binutils"]


def test_each_package_is_named_once_with_the_first_that_asks() -> None:
    found = doctor.needs(recipe(PAUSE, RUNC, SOCAT))
    assert len({need.package for need in found}) == len(found)
    assert {need.package: need.why for need in found}["libseccomp-dev"] == "runc"
    assert {"golang-go", "dpkg-dev", "apt"} <= {need.package for need in found}


def test_only_what_is_missing_is_named() -> None:
    machine = FakeMachine(commands=frozenset({"gcc", "unshare"}), packages=frozenset({"libc6-dev"}))
    assert [need.package for need in doctor.missing(recipe(PAUSE), machine)] == ["binutils"]


def test_cgo_needs_pkg_config_to_find_its_libraries() -> None:
    assert "pkg-config" in [need.package for need in doctor.needs(recipe(RUNC))]
    assert "pkg-config" not in [need.package for need in doctor.needs(recipe(PAUSE))]


def test_a_build_root_needs_apt_and_no_compiler_of_the_machine() -> None:
    pause = CompileComponent(name="pause", source="./src", version="1", run=("gcc",), output={}, needs=("gcc", "flex"))
    runc = GoComponent(name="runc", module="m", version="v1", folder=None, packages={"runc": ""}, cgo=True)
    wanted = {need.package for need in doctor.needs(replace(recipe(pause, runc), buildroot="bookworm"))}
    assert wanted == {"util-linux", "apt", "golang-go"}
