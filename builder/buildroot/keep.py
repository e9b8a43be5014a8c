"""Roots and compile caches that no recipe asks for any more: another compiler left gigabytes behind."""

from collections.abc import Collection

from builder.buildroot.cross import component_needs, machine_of
from builder.buildroot.model import closure, closure_digest
from builder.lock.model import Lock
from builder.recipe.model import CompileComponent, GoComponent, Recipe
from builder.store import Collected, Store, remove_tree, tree_size
from bundles.digest import Digest


def roots_of(recipe: Recipe, lock: Lock) -> frozenset[Digest]:
    """The build roots that a recipe's components are compiled in. Pure; raises RecipeError as `closure`."""
    if recipe.buildroot is None:
        return frozenset()
    compiled = [one for one in recipe.components.values() if isinstance(one, (CompileComponent, GoComponent))]
    machine = machine_of(lock.buildroot)
    return frozenset(
        closure_digest(closure(lock.buildroot, component_needs(one, recipe, platform, machine)))
        for one in compiled
        for platform in recipe.platforms
    )


def collect_roots(store: Store, keep: Collection[Digest]) -> Collected:
    """Removes the roots not in `keep`, and Go's compile caches of theirs; call it with the store to yourself."""
    names = {digest.hex for digest in keep} | {f"{digest.hex}.json" for digest in keep}
    doomed = [path for path in store.roots.iterdir() if path.name not in names]
    caches = {store.go_cache_name(digest) for digest in keep}
    doomed += [path for path in store.go_build.parent.glob("build-*") if path.name not in caches]
    size = sum(tree_size(path) for path in doomed)
    for path in doomed:
        remove_tree(path)
    return Collected(files=len(doomed), size=size)
