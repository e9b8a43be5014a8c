"""Compiling C for another architecture than the build root's own. Pure.

The root stays one of this machine's programs; a cross compiler comes into it, and the libraries of the other
architecture lie beside the machine's own (Debian's multiarch: `/usr/lib/aarch64-linux-gnu`). In `/cross/TRIPLET` its
programs have their plain names, so that a recipe's `gcc` and `strip` are those of the platform that is built for.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from builder.buildroot.layout import TRIPLETS
from builder.buildroot.model import BASE, BASE_PACKAGES, compiles_c, foreign, group_of, needs_of, package_of, unmet
from builder.lock.model import LockedInput
from builder.recipe.model import CompileComponent, Component, GoComponent, Recipe
from bundles.platform import Platform

_DEB: Final = re.compile(r"_([a-z0-9]+)\.deb$")
_COMPILERS: Final = {"amd64": "gcc-x86-64-linux-gnu", "arm64": "gcc-aarch64-linux-gnu"}
_TOOLS: Final = ("dpkg-dev",)  # ends like a library, and is none


def machine_of(packages: Sequence[LockedInput]) -> str:
    """The architecture that a build root's programs run on (`amd64`); "" for no root."""
    for each in packages:
        if each.component == BASE and package_of(each)[0] == "gcc":
            found = _DEB.search(each.files[0].name)
            return found[1] if found else ""
    return ""


def needs_for(needs: Iterable[str], platform: Platform, machine: str, *, c: bool = True) -> tuple[str, ...]:
    """What a component needs -> what the root must have to build it for a platform; `c`: C is compiled.

    Libraries are wanted of the platform's architecture, tools of the machine's. On the machine's own: the same needs.
    """
    target = platform.architecture
    if machine in ("", target):
        return tuple(needs)
    wanted = [f"{need}:{target}" if _is_library(need) else need for need in needs]
    return tuple(dict.fromkeys((*wanted, *((_COMPILERS[target], f"libc6-dev:{target}") if c else ()))))


def component_needs(component: Component, recipe: Recipe, platform: Platform, machine: str) -> tuple[str, ...]:
    """The same of one component."""
    if not isinstance(component, (CompileComponent, GoComponent)):
        return ()
    return needs_for(needs_of(component), platform, machine, c=compiles_c(component, recipe))


def recipe_needs(recipe: Recipe, machine: str) -> tuple[str, ...]:
    """Those of all components for all platforms of a recipe, sorted."""
    found = {
        need
        for platform in recipe.platforms
        for component in recipe.components.values()
        for need in component_needs(component, recipe, platform, machine)
    }
    if recipe.helm is not None:
        found |= {*needs_of(recipe.components[recipe.helm])}  # it is built for the machine, too: it renders charts here
    return tuple(sorted(found))


def groups_of(recipe: Recipe, packages: Sequence[LockedInput]) -> frozenset[str]:
    """The groups of a lock's build root that a recipe's components are compiled with."""
    return frozenset({BASE, *map(group_of, recipe_needs(recipe, machine_of(packages)))})


def stale(recipe: Recipe, packages: Sequence[LockedInput]) -> tuple[str, ...]:
    """Why the lock's build root is not the recipe's, in words; empty when it is."""
    if recipe.buildroot is None:
        return ("it pins a build root, the recipe has none",) if packages else ()
    needs = recipe_needs(recipe, machine_of(packages))
    found = [f"the build root lacks {need}" for need in unmet(packages, (*BASE_PACKAGES, *needs))]
    known = {BASE, *map(group_of, needs)}
    others = sorted({each.component for each in packages} - known)
    found += [f"the build root has packages for {name}, which no component needs" for name in others]
    found += [f"the build root has {source}, the recipe wants {recipe.buildroot}" for source in
              foreign(packages, recipe.buildroot)]  # fmt: skip
    return tuple(found)


def tools_named(names: Iterable[str], platform: Platform, machine: str) -> tuple[str, ...]:
    """Packages that decide a C program's bytes (`gcc`, `libc6-dev`) -> those that do for a platform."""
    target = platform.architecture
    if machine in ("", target):
        return tuple(names)
    compiler = _COMPILERS[target]
    own = {"gcc": compiler, "binutils": compiler.replace("gcc", "binutils", 1)}
    return tuple(own.get(name) or (f"{name}:{target}" if _is_library(name) else name) for name in names)


def foreign_architectures(packages: Iterable[str], machine: str) -> tuple[str, ...]:
    """Packages as `NAME[:ARCHITECTURE]` -> the architectures beside the machine's, sorted."""
    found = {name.partition(":")[2] for name in packages}
    return tuple(sorted(found - {"", machine}))


def variables(platform: Platform, machine: str, path: str) -> Mapping[str, str]:
    """What a command in the root is told so that it compiles for a platform; nothing on the machine's own.

    `path` is PATH without it. CONFIG_SITE is read by configure scripts (autoconf, "Site Defaults").
    """
    target = platform.architecture
    if machine in ("", target):
        return {}
    triplet = TRIPLETS[target]
    return {
        "PATH": f"/cross/{triplet}:{path}",
        "CC": f"{triplet}-gcc",
        "AR": f"{triplet}-ar",
        "RANLIB": f"{triplet}-ranlib",
        "STRIP": f"{triplet}-strip",
        "PKG_CONFIG_LIBDIR": f"/usr/lib/{triplet}/pkgconfig:/usr/share/pkgconfig",
        "CONFIG_SITE": f"/build/{SITE}",
    }


SITE: Final = ".config.site"  # in the step's own folder


def config_site(platform: Platform, machine: str) -> str:
    """What configure scripts are told: that they cross, and from where to where."""
    build, host = (TRIPLETS[name] for name in (machine, platform.architecture))
    return f'test -n "$host_alias" || host_alias={host}\ntest -n "$build_alias" || build_alias={build}\n' + (
        f"cross_compiling=yes\nac_tool_prefix={host}-\n"
    )


def _is_library(need: str) -> bool:
    """Libraries are packaged as `libNAME`, their headers as `NAME-dev` (Debian policy 8)."""
    return need not in _TOOLS and (need.startswith("lib") or need.endswith("-dev"))
