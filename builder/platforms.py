"""A recipe of several platforms, looked at as one of each: a bundle, and a build, is for one platform alone. Pure."""

from dataclasses import replace

from builder.buildroot.cross import machine_of
from builder.buildroot.model import c_packages
from builder.errors import RecipeError
from builder.lock.model import Lock
from builder.lock.perplatform import lock_for, with_own_root
from builder.recipe.elsewhere import EngineImage
from builder.recipe.model import Recipe
from bundles.errors import MissingError, UsageError
from bundles.platform import Platform


def recipe_for(recipe: Recipe, platform: Platform) -> Recipe:
    """A recipe -> the same as if it named this platform alone."""
    return replace(recipe, platforms=(platform,))


def view(recipe: Recipe, lock: Lock, platform: Platform) -> tuple[Recipe, Lock]:
    """Recipe and lock as those of one platform."""
    own = recipe_for(recipe, platform)
    return own, with_own_root(own, lock_for(lock, platform))


def chosen(recipe: Recipe, wanted: str | None) -> tuple[Platform, ...]:
    """What `--platform` says (None: nothing) -> the platforms to build; raises UsageError for one that it has not."""
    if wanted is None:
        return recipe.platforms
    platform = Platform.parse(wanted)
    if platform not in recipe.platforms:
        raise UsageError("not a platform of the recipe", got=wanted, want=" or ".join(map(str, recipe.platforms)))
    return (platform,)


def one_of(recipe: Recipe, wanted: str | None, host: Platform) -> Platform:
    """The same where it must be one: without a word the machine's own, where the recipe has it, else its first."""
    found = chosen(recipe, wanted)
    return host if host in found else found[0]


def machine_last(platforms: tuple[Platform, ...], host: Platform) -> tuple[Platform, ...]:
    """In the recipe's order, the machine's own at the end: what is printed last can be tried here."""
    return tuple(sorted(platforms, key=lambda each: each == host))


def refuse_other_machine(recipe: Recipe, lock: Lock, host: Platform) -> None:
    """Returns when this machine can make the bundle of a recipe of one platform.

    Raises RecipeError for C without a build root, MissingError for a build root of another machine, or for images that
    an engine would have to run programs for.
    """
    (platform,) = recipe.platforms
    elsewhere = (platform.os, platform.architecture) != (host.os, host.architecture)
    compiled = c_packages(recipe)
    if compiled and elsewhere and recipe.buildroot is None:
        raise RecipeError(
            "C for another machine is compiled in a build root alone, and the recipe names none",
            where=recipe.folder / "bundle.yaml",
            got=f"{', '.join(compiled)} for {platform}, on {host}",
            hint="name one, `buildroot: bookworm`; or build on that machine, with --platform",
        )
    machine = machine_of(lock.buildroot)
    if compiled and machine not in ("", host.architecture):
        hint = f"build on linux/{machine}: cross compilers make the other platforms there"
        raise MissingError("the locked build root's programs do not run here", got=host, want=machine, hint=hint)
    images = [one.name for one in recipe.images.values() if isinstance(one, EngineImage)]
    if elsewhere and images:
        raise MissingError(
            "an engine runs the programs of the image that it builds", got=host, want=platform,
            where=f"image {images[0]}", hint=f"build it on {platform}, with --platform {platform}",
        )  # fmt: skip
