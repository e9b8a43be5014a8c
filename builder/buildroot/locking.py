"""The build root's packages, found by apt in signed lists: what it would install on an empty system, nothing more.

Recommended packages are left out. What the old lock pins stays, as long as it serves: an archive that moved on moves no
lock by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from builder.buildroot.cross import foreign_architectures, recipe_needs
from builder.buildroot.model import BASE, BASE_PACKAGES, foreign, group_of, package_of, unmet
from builder.errors import RecipeError, StepError
from builder.lock.model import LockedInput
from builder.recipe.model import Recipe
from builder.sources.apt import AptClient
from bundles.errors import MissingError


def lock_buildroot(
    client: AptClient,
    recipe: Recipe,
    old: Sequence[LockedInput],
    say: Callable[[str], None],
    *,
    renew: bool = False,
) -> tuple[LockedInput, ...]:
    """Recipe and the old lock's build root -> the new one; empty for a recipe without. `client` is the machine's own,
    with lists that are new; `renew`: those of further architectures are to be new, too.

    Raises RecipeError when apt finds packages of other suites, MissingError or StepError when it finds none.
    """
    if recipe.buildroot is None:
        return ()
    needs = recipe_needs(recipe, client.architecture)
    client = replace(client, foreign=foreign_architectures(needs, client.architecture))
    kept = _kept(old, recipe.buildroot, needs)
    if kept and not unmet(kept, needs):
        return kept
    say(f"locking the build root {recipe.buildroot}")
    if renew and client.foreign:
        client.update()
    client.ensure_lists()
    try:
        found = _resolved(client, needs, kept)
    except (StepError, MissingError):
        client.update()  # old lists, or a base that the archive has no more: all of it anew
        found = _resolved(client, needs, ())
    if others := foreign(found, recipe.buildroot):
        raise RecipeError(
            f"the machine's package archives are not those of {recipe.buildroot}",
            where="buildroot",
            got=", ".join(others[:5]),
            hint=f"list {recipe.buildroot}, its updates and its security in apt's sources.list",
        )
    return found


def _kept(old: Sequence[LockedInput], suite: str, needs: Sequence[str]) -> tuple[LockedInput, ...]:
    """The groups of the old lock that are still asked for; none when its base does not serve."""
    groups = {BASE, *map(group_of, needs)}
    kept = tuple(each for each in old if each.component in groups)
    return () if unmet(kept, BASE_PACKAGES) or foreign(kept, suite) else kept


def _resolved(client: AptClient, needs: Sequence[str], kept: Sequence[LockedInput]) -> tuple[LockedInput, ...]:
    """The base, and what each need adds to it; kept packages keep their versions."""
    base = ["=".join(package_of(each)) for each in kept if each.component == BASE]
    if not base:
        base = list(client.together((), named=BASE_PACKAGES))
    groups = {BASE: base}
    names = {package.partition("=")[0] for package in base}
    for need in needs:
        if need not in names:
            groups[group_of(need)] = sorted({*client.together(base, named=(need,))} - {*base})
    known = {(each.component, each.source.rpartition("/")[2]): each for each in kept}
    wanted = sorted({package for group in groups.values() for package in group})
    found = client.find_all(wanted)
    return tuple(
        known.get((group, package))
        or LockedInput(component=group, source=f"deb:{found[package].suite}/{package}", files=found[package].files)
        for group, packages in sorted(groups.items())
        for package in sorted(packages)
    )
