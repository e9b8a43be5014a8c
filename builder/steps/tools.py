"""The versions of the machine's C tools, which decide bytes as long as there is no locked build root."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from builder.errors import StepError
from builder.process import run
from builder.recipe.model import CompileComponent, Fips, GoComponent, Recipe
from bundles.errors import MissingError

_ALWAYS = ("gcc", "libc6-dev", "binutils")
_FIRST_LINES = {"gcc": ["gcc", "--version"], "binutils": ["ld", "--version"], "make": ["make", "--version"]}


def c_packages(recipe: Recipe) -> Mapping[str, tuple[str, ...]]:
    """Recipe -> for each component that compiles C, the packages whose versions decide its bytes. Pure."""
    found: dict[str, tuple[str, ...]] = {}
    for component in recipe.components.values():
        is_c = isinstance(component, CompileComponent)
        is_cgo = isinstance(component, GoComponent) and (component.cgo or recipe.fips is Fips.BORINGCRYPTO)
        if (is_c or is_cgo) and isinstance(component, (CompileComponent, GoComponent)):
            found[component.name] = tuple(sorted({*_ALWAYS, *component.needs}))
    return found


def host_tools(packages: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
    """Packages -> versions on this machine: dpkg's, else the program's own word; raises MissingError.

    Debian's `gcc` is an empty package that points at `gcc-12`: its own version says too little, so the compiler is
    asked as well.
    """
    return {name: _version(name, {"PATH": env.get("PATH", ""), "LC_ALL": "C"}) for name in sorted(set(packages))}


def _version(package: str, env: Mapping[str, str]) -> str:
    words = []
    try:
        command = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", package]
        status, _, version = run(command, cwd=Path("/"), env=env).stdout.decode().partition(" ")
        words += [version] if status == "installed" else []
    except (StepError, MissingError):
        pass  # not Debian, or not installed as a package
    if package in _FIRST_LINES:
        try:
            first = run(_FIRST_LINES[package], cwd=Path("/"), env=env).stdout.decode().splitlines()[0]
            words.append(re.sub(r"\s+", " ", first))
        except (StepError, MissingError):
            words = []
    if not words:
        raise MissingError(
            f"{package} is not installed", hint=f"apt-get install {package}, or see `sealift doctor RECIPE_DIR`"
        )
    return "; ".join(words)
