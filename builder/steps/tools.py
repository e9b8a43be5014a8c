"""What compiles C: the recipe's build root by its digest, else the machine's tools by their versions."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from builder.buildroot.cross import component_needs, machine_of
from builder.buildroot.model import ROOT, c_packages, closure, closure_digest
from builder.errors import StepError
from builder.lock.model import Lock
from builder.process import run
from builder.recipe.model import Recipe
from bundles.errors import MissingError
from bundles.platform import Platform

_FIRST_LINES = {"gcc": ["gcc", "--version"], "binutils": ["ld", "--version"], "make": ["make", "--version"]}


def component_tools(
    recipe: Recipe, lock: Lock, platform: Platform, env: Mapping[str, str]
) -> Mapping[str, Mapping[str, str]]:
    """For each component that compiles C what decides its bytes for a platform: name -> version; `buildroot` -> digest.

    Raises MissingError for what the machine lacks, RecipeError for what the lock lacks.
    """
    packages = c_packages(recipe)
    if recipe.buildroot is not None:
        return {name: {ROOT: root_digest(recipe, lock, platform, name)} for name in packages}
    versions = host_tools({name for names in packages.values() for name in names}, env)
    return {component: {name: versions[name] for name in names} for component, names in packages.items()}


def root_digest(recipe: Recipe, lock: Lock, platform: Platform, component: str) -> str:
    """The digest of the build root that a component is compiled in for a platform. Pure."""
    needs = component_needs(recipe.components[component], recipe, platform, machine_of(lock.buildroot))
    return str(closure_digest(closure(lock.buildroot, needs)))


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
