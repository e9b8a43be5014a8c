"""What a build root consists of: a fixed base, and what components need beyond it. Pure.

The lock groups its packages: `base` for all, and one group for each need with what it adds. So a component's root is
the base and the groups of its own needs, and a new libseccomp is no new socat.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from builder.errors import RecipeError
from builder.lock.model import LockedInput
from builder.recipe.crypto import uses_c
from builder.recipe.model import CompileComponent, Component, GoComponent, Recipe
from bundles import jsontext
from bundles.digest import Digest

ROOT: Final = "buildroot"  # the name under which a root's digest stands among a step's tools
BASE: Final = "base"
# A shell and its tools for configure scripts, the compiler with its parts, and what finds libraries.
BASE_PACKAGES: Final = (
    "binutils",
    "coreutils",
    "dash",
    "diffutils",
    "findutils",
    "gcc",
    "grep",
    "gzip",
    "libc6-dev",
    "make",
    "mawk",
    "pkg-config",
    "sed",
    "tar",
)
SOURCE_TOOLS: Final = ("dpkg-dev",)  # unpack and patch Debian sources
_ALWAYS: Final = ("gcc", "libc6-dev", "binutils")
_UNPACKED: Final = 1  # raised when the same packages give another root


def compiles_c(component: Component, recipe: Recipe) -> bool:
    """Whether a component compiles C."""
    return isinstance(component, CompileComponent) or (isinstance(component, GoComponent) and uses_c(component, recipe))


def c_packages(recipe: Recipe) -> Mapping[str, tuple[str, ...]]:
    """Recipe -> for each component that compiles C, the packages whose versions decide its bytes. Pure."""
    return {
        each.name: tuple(sorted({*_ALWAYS, *each.needs}))
        for each in recipe.components.values()
        if isinstance(each, (CompileComponent, GoComponent)) and compiles_c(each, recipe)
    }


def needs_of(component: Component) -> tuple[str, ...]:
    """The packages that compiling a component needs, in order, each once; none for one that is not compiled."""
    if isinstance(component, CompileComponent):
        tools = SOURCE_TOOLS if component.source.startswith("deb-source:") else ()
        return tuple(dict.fromkeys((*component.needs, *tools)))
    return tuple(dict.fromkeys(component.needs)) if isinstance(component, GoComponent) else ()


def group_of(need: str) -> str:
    """A package's name as the lock's name of its group: `g++` -> `gxx`, `zlib1g-dev:arm64` -> `zlib1g-dev.arm64`."""
    return need.replace("+", "x").replace(":", ".")


def package_of(locked: LockedInput) -> tuple[str, str]:
    """`deb:bookworm/gcc=4:12.2.0-3` -> name (`libc6:arm64` for one of another architecture) and version."""
    name, _, version = locked.source.rpartition("/")[2].partition("=")
    return name, version


def unmet(packages: Sequence[LockedInput], needs: Sequence[str]) -> tuple[str, ...]:
    """Needs that neither the base nor a group of their own meets."""
    return tuple(need for need in needs if not _met(packages, need))


def _met(packages: Sequence[LockedInput], need: str) -> bool:
    groups = (BASE, group_of(need))
    return any(package_of(each)[0] == need and each.component in groups for each in packages)


def closure(packages: Sequence[LockedInput], needs: Sequence[str]) -> tuple[LockedInput, ...]:
    """The lock's build root and a component's needs -> the packages of its root, by name, each once.

    Raises RecipeError where the lock does not meet a need, or has a package in two versions.
    """
    if missing := unmet(packages, (*BASE_PACKAGES, *needs)):
        raise RecipeError(
            "not in the lock's build root", where="buildroot", got=", ".join(missing), hint="run sealift lock"
        )
    groups = {BASE, *map(group_of, needs)}
    found: dict[str, LockedInput] = {}
    for each in packages:
        if each.component in groups:
            name, _ = package_of(each)
            if found.setdefault(name, each).files != each.files:
                raise RecipeError("two versions of one package in a build root", where="buildroot", got=name)
    return tuple(found[name] for name in sorted(found))


def closure_digest(packages: Sequence[LockedInput]) -> Digest:
    """A root's packages -> its content id: their bytes, and our way to unpack them."""
    listed = sorted([*package_of(each), *(str(file.digest) for file in each.files)] for each in packages)
    return Digest.of(jsontext.encode_canonical({"unpacked": _UNPACKED, "packages": listed}))


def foreign(packages: Sequence[LockedInput], suite: str) -> tuple[str, ...]:
    """Sources of packages that are not of a suite, its updates or its security (`bookworm-security`)."""
    own = re.compile(rf"deb:{re.escape(suite)}(?:-[a-z-]+)?/[^/]+")
    return tuple(each.source for each in packages if not own.fullmatch(each.source))


def tool_versions(packages: Sequence[LockedInput], names: Sequence[str]) -> Mapping[str, str]:
    """Packages by name -> their versions in a root."""
    versions = dict(map(package_of, packages))
    return {name: versions[name] for name in names if name in versions}
