"""Does the lock belong to this recipe, and are the files beside the recipe still those it pins?

A lock that does not is refused with every difference in words; nothing is resolved again silently.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from builder.buildroot.cross import stale
from builder.errors import RecipeError
from builder.lock.elsewhere import stale_image_sources
from builder.lock.imagediff import unlocked_images
from builder.lock.model import Lock, LockedInput
from builder.lock.perplatform import fits, lock_for
from builder.lock.witnessed import is_same, witnessed
from builder.recipe.digest import recipe_digest
from builder.recipe.fetched import ImageFilesComponent, PublishedChart, UrlComponent
from builder.recipe.model import CompileComponent, Component, DebComponent, GoComponent, Recipe, UserlandComponent
from builder.recipe.places import beside
from builder.sources.aptlists import is_library
from builder.sources.go import read_wrapper
from builder.sources.gomod import files_digest
from builder.tree import file_digest, folder_digest
from bundles.digest import Digest
from bundles.errors import SealiftError


def check_fresh(recipe: Recipe, lock: Lock) -> None:
    """Returns when the lock is this recipe's and unedited; raises RecipeError that lists every difference."""
    found = [*_of_all(recipe, lock, _missing), *stale(recipe, lock.buildroot), *_of_all(recipe, lock, _changed)]
    found += [f"component {each.component}: {each.source} is of no platform of the recipe" for each in lock.inputs
              if not any(fits(each, platform) for platform in recipe.platforms)]  # fmt: skip
    if lock.recipe != recipe_digest(recipe) and not found:
        found.append("an option of the recipe changed (stamps, tags, commands, images, ...)")
    if found:
        rows = "\n".join(f"  {line}" for line in found)
        hint = f"sealift lock {recipe.folder}   then review the difference of lock.yaml"
        raise RecipeError(
            f"the lock is not this recipe's any more:\n{rows}", where=recipe.folder / "lock.yaml", hint=hint
        )


def _of_all(recipe: Recipe, lock: Lock, look: Callable[[Recipe, Lock], Iterable[str]]) -> Iterator[str]:
    """What is wrong for any platform, each line once."""
    parts = ((replace(recipe, platforms=(each,)), lock_for(lock, each)) for each in recipe.platforms)
    yield from dict.fromkeys(line for part in parts for line in look(*part))


def _missing(recipe: Recipe, lock: Lock) -> Iterator[str]:
    """Components and charts on one side only, and sources that moved."""
    for name, component in recipe.components.items():
        locked = lock.of(name)
        if not locked:
            yield f"component {name} is not in it"
        elif isinstance(component, UserlandComponent):
            if not same_packages(component, locked):
                yield f"component {name}: the recipe wants other packages than are locked"
        elif not _same_source(component, locked[0]):
            yield f"component {name}: locked {locked[0].source}, the recipe wants {wanted_source(component)}"
    gone = {each.component for each in lock.inputs} - recipe.components.keys()
    yield from (f"component {name} is in it, but not in the recipe" for name in sorted(gone))
    charts = {each.name for each in lock.charts}
    yield from (f"chart {name} is not in it" for name in recipe.charts if name not in charts)
    yield from (f"chart {name} is in it, but not in the recipe" for name in sorted(charts - recipe.charts.keys()))
    yield from unlocked_images(recipe, lock)
    yield from stale_image_sources(recipe, lock)
    if lock.bundle != f"{recipe.name}@{recipe.version}":
        yield f"it is for {lock.bundle}, the recipe for {recipe.name}@{recipe.version}"
    go = [tool.source.removeprefix("go-toolchain:") for tool in lock.tools if tool.source.startswith("go-toolchain:")]
    if recipe.go is not None and go != [recipe.go]:
        yield f"it pins Go {', '.join(go) or 'not at all'}, the recipe wants {recipe.go}"


def _changed(recipe: Recipe, lock: Lock) -> Iterator[str]:
    """Files beside the recipe that are not what they were."""
    for each in lock.inputs:
        if each.component in recipe.components:
            yield from _changed_input(recipe, each)
    for chart in lock.charts:
        found = recipe.charts.get(chart.name)
        if isinstance(found, PublishedChart):
            if not is_same(found, chart):
                yield f"chart {chart.name}: locked {chart.source} {chart.version}, the recipe wants another"
        elif found is not None:
            yield from _compared(f"chart {chart.name}: {found.folder}", chart.digest, beside(recipe, found.folder))


def _changed_input(recipe: Recipe, each: LockedInput) -> Iterator[str]:
    kind, _, rest = each.source.partition(":")
    if kind in ("folder", "file") and each.digest is not None:
        yield from _compared(f"component {each.component}: {rest}", each.digest, beside(recipe, rest))
    component = recipe.components[each.component]
    if isinstance(component, UrlComponent | CompileComponent) and kind == "url":
        yield from witnessed(recipe, component, each)
    if each.sum is not None:
        try:
            same = files_digest(read_wrapper(beside(recipe, each.sum.folder))) == each.sum.digest
        except SealiftError:
            same = False
        if not same:
            yield f"component {each.component}: {each.sum.folder} changed (go.mod, go.sum, tools.go)"


def _compared(name: str, want: Digest, path: Path) -> Iterator[str]:
    try:
        got = folder_digest(path) if path.is_dir() else file_digest(path)[0]
    except SealiftError as exc:
        yield f"{name}: {exc.message}"
        return
    if got != want:
        yield f"{name} changed"


def is_pinned(component: Component, locked: Sequence[LockedInput]) -> bool:
    """Whether a lock's entries for a component are of the source that the recipe names; False without any."""
    if isinstance(component, UserlandComponent):
        return bool(locked) and same_packages(component, locked)
    return bool(locked) and _same_source(component, locked[0])


def _same_source(component: Component, locked: LockedInput) -> bool:
    return locked.source == wanted_source(component) or _without_suite(locked.source) == wanted_source(component)


def same_packages(component: UserlandComponent, locked: Sequence[LockedInput]) -> bool:
    """Whether a userland's entries are the packages that it names, and beside them libraries' alone."""
    found = {_without_suite(each.source).removeprefix("deb:") for each in locked}
    others = found - set(component.packages)
    return found.issuperset(component.packages) and all(is_library(package) for package in others)


def wanted_source(component: Component) -> str:
    """The source of a component with one, in the lock's words, without the suite that only resolving knows."""
    if isinstance(component, GoComponent):
        return f"go:{component.module}@{component.version}" if component.module else f"folder:{component.folder}"
    if isinstance(component, CompileComponent):
        if component.source.startswith("./"):
            return f"folder:{component.source.removeprefix('./')}"
        return component.source
    if isinstance(component, DebComponent):
        return f"deb:{component.package}={component.version}"
    if isinstance(component, UserlandComponent):
        return f"deb:{', '.join(component.packages)}"
    if isinstance(component, UrlComponent):
        return f"url:{component.url}"
    if isinstance(component, ImageFilesComponent):
        return f"image:{component.reference.name}"
    return f"file:{component.path}"


def _without_suite(source: str) -> str:
    """`deb:bookworm/socat=1` -> `deb:socat=1`; `image:NAME#linux/amd64` -> `image:NAME`."""
    kind, _, rest = source.partition(":")
    if kind == "image":
        return source.partition("#")[0]
    return f"{kind}:{rest.partition('/')[2]}" if kind in ("deb", "deb-source") and "/" in rest else source
