"""What a machine needs to build a recipe: decided from the recipe, looked up by a probe that is passed in.

The names are Debian's, because the same list is installed by `make ... SETUP=1`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from builder.recipe.model import CompileComponent, Component, DebComponent, GoComponent, Recipe, UserlandComponent

_GO_SPACE = 6_000_000_000  # bytes: module and build caches of the default recipe, measured 5.1 GB
_SPACE = 300_000_000  # bytes for anything else
# How to see that a package is there without asking dpkg: a command on PATH, or a file.
_COMMANDS = {
    "gcc": "gcc",
    "make": "make",
    "binutils": "strip",
    "golang-go": "go",
    "dpkg-dev": "dpkg-source",
    "apt": "apt-get",
    "util-linux": "unshare",
    "xz-utils": "xz",
    "patch": "patch",
    "pkg-config": "pkg-config",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """A Debian package, who asks for it, and the command or the package name that shows it is there."""

    package: str
    why: str
    command: str | None


class Machine(Protocol):
    """What can be asked of a machine."""

    def has_command(self, name: str) -> bool:
        """Whether PATH has it."""

    def has_package(self, name: str) -> bool:
        """Whether the package is installed."""

    def free_space(self) -> int:
        """Bytes free where the store is."""


def needs(recipe: Recipe) -> tuple[Need, ...]:
    """Recipe -> what building it needs, each package once, with the first that asks for it."""
    found: dict[str, Need] = {}
    for package, why in _asked(recipe):
        found.setdefault(package, Need(package=package, why=why, command=_COMMANDS.get(package)))
    return tuple(found.values())


def missing(recipe: Recipe, machine: Machine) -> tuple[Need, ...]:
    """Those that the machine lacks."""
    return tuple(need for need in needs(recipe) if not _present(need, machine))


def space_needed(recipe: Recipe) -> int:
    """Bytes that a first build takes in the store, generously."""
    return _GO_SPACE if any(isinstance(c, GoComponent) for c in recipe.components.values()) else _SPACE


def _present(need: Need, machine: Machine) -> bool:
    return machine.has_command(need.command) if need.command else machine.has_package(need.package)


def _asked(recipe: Recipe) -> Iterator[tuple[str, str]]:
    yield "util-linux", "build steps run without network"
    if recipe.buildroot is not None:
        yield "apt", f"the build root {recipe.buildroot}"
    for component in recipe.components.values():
        if isinstance(component, GoComponent):
            yield "golang-go", f"{component.name} (any Go from 1.19 on: it fetches the exact one)"
        if recipe.buildroot is None:
            yield from _c_tools(component)
        if isinstance(component, (DebComponent, UserlandComponent)):
            yield "apt", component.name
        if isinstance(component, CompileComponent) and component.source.startswith("deb-source:"):
            yield "apt", component.name
        if isinstance(component, CompileComponent) and component.source.startswith("go-source:"):
            yield "golang-go", component.name


def _c_tools(component: Component) -> Iterator[tuple[str, str]]:
    """What compiles C on a machine; a build root brings all of it."""
    if isinstance(component, CompileComponent) or (isinstance(component, GoComponent) and component.cgo):
        yield "gcc", component.name
        yield "libc6-dev", component.name
        for package in component.needs:
            yield package, component.name
    if isinstance(component, GoComponent) and component.cgo:
        yield "pkg-config", component.name  # cgo asks it where C libraries are
    if isinstance(component, CompileComponent) and component.source.startswith("deb-source:"):
        for package in ("dpkg-dev", "xz-utils", "patch"):
            yield package, component.name
