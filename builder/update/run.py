"""`sealift update`, as data flows: ask, edit a copy, lock the copy, then put both into the recipe, the lock last."""

import contextlib
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from builder.errors import RecipeError
from builder.lock.difference import difference
from builder.lock.model import Lock, LockedInput
from builder.lock.text import format_lock, read_lock
from builder.recipe import keys
from builder.recipe.model import Recipe, UserlandComponent
from builder.recipe.read import LOCK, read_limited, read_recipe
from builder.resolve import ResolveOptions, resolve
from builder.sources.apt import AptClient
from builder.sources.deb import lock_userland
from builder.sources.goclient import GoClient
from builder.store import remove_tree
from builder.update.edit import Edit, edited, has, still_says
from builder.update.find import GO, ROOT, Asker, Newer, failure
from builder.update.published import PublishedAsker, names_of
from builder.update.versions import bare, next_bundle
from bundles.errors import SealiftError, printable
from bundles.files import make_folders, os_errors, write_atomic


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """Which components (none: all), and the bundle's next version (empty: made from the old one).

    `same_version` leaves the bundle's version and sequence as they are.
    """

    names: tuple[str, ...] = ()
    bundle: str = ""
    same_version: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """What is newer, in words: `newer` of the recipe, `packages` that only the lock names; `elsewhere`: of the base.

    `unknown` could not be asked: a proxy or archive that does not list them.
    """

    newer: tuple[Newer, ...]
    packages: tuple[str, ...]
    elsewhere: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether a lock would move."""
        return bool(self.newer or self.packages)


@dataclass(frozen=True, kw_only=True, slots=True)
class Updated:
    """What was done: the changes of the lock in words, and lines that still say an old version."""

    changes: tuple[str, ...]
    notes: tuple[str, ...]


def look(folder: Path, wish: Wish, options: ResolveOptions) -> Update:
    """Asks what is newer; changes nothing but the store.

    Raises RecipeError for names that the recipe does not have, StepError when one that was named cannot be asked.
    """
    recipe, lock = read_recipe(folder), read_lock(folder)
    _check_names(recipe, wish.names)
    apt = _apt(recipe, options)
    go = GoClient(store=options.store, host_env=options.env, cancel=options.cancel)
    asker = Asker(go, apt, _suites(lock))
    published = PublishedAsker(options)
    found = [*asker.newer(recipe, wish.names), *published.newer(recipe, wish.names)]
    failures = [*asker.failures, *published.failures]
    if failures and (wish.names or len(failures) == asker.asked + published.asked):
        raise failure(failures)
    packages = _packages(recipe, lock, wish, apt)
    files = _files(folder)
    ours = [each for each in found if _in(files, each.edit, each.edit.old)]
    return Update(
        newer=tuple(ours),
        packages=tuple(packages),
        elsewhere=tuple(f"{each} ({_why_not(files, each.edit)})" for each in found if each not in ours),
        unknown=tuple(f"not looked at: {_reason(each)}" for each in failures),
    )


def _in(files: Mapping[str, bytes], edit: Edit, text: str = "") -> bool:
    """Whether this recipe itself has what would be edited, with `text` in it."""
    return edit.file in files and has(files[edit.file], edit.path, text)


def _why_not(files: Mapping[str, bytes], edit: Edit) -> str:
    return "goes by $version: update the bundle's" if _in(files, edit) else "in the base: update that one"


def apply(folder: Path, update: Update, wish: Wish, options: ResolveOptions) -> Updated:
    """Writes the newer versions into the recipe and locks it anew. Until all of that is known, nothing is changed."""
    recipe, old = read_recipe(folder), read_lock(folder)
    files = _files(folder)
    changed = edited(files, [*(each.edit for each in update.newer), *_bundle(recipe, files, update, wish)])
    with _copy(folder) as copy:
        for name, data in changed.items():
            write_atomic(copy / name, data)
        resolution = resolve(read_recipe(copy), _without(recipe, old, wish), replace(options, same_version=True))
    made = {PurePosixPath(name): data for name, data in changed.items()} | dict(resolution.files)
    for below, data in made.items():
        make_folders((folder / below).parent)
        write_atomic(folder / below, data)
    write_atomic(folder / LOCK, format_lock(resolution.lock).encode())
    versions = [each.old for each in update.newer]
    return Updated(
        changes=tuple(difference(old, resolution.lock)),
        notes=tuple(still_says({**files, **changed}, versions)),
    )


def _reason(error: SealiftError) -> str:
    """`PATH: what go or apt said last`."""
    lines = [line.strip() for line in error.got.splitlines() if line.strip()]
    return printable(f"{error.where}: {lines[0] if lines else error.message}")


def _check_names(recipe: Recipe, names: Collection[str]) -> None:
    known = {*recipe.components, *names_of(recipe)}
    if unknown := sorted(set(names) - known - {GO, ROOT}):
        hint = f"there are: {', '.join(sorted(known))}; and {GO}, {ROOT}"
        raise RecipeError(f"no component {', '.join(unknown)}", where=recipe.folder, hint=hint)


def _apt(recipe: Recipe, options: ResolveOptions) -> AptClient:
    architecture = recipe.platforms[0].architecture
    return AptClient(store=options.store, host_env=options.env, architecture=architecture, cancel=options.cancel)


def _suites(lock: Lock) -> set[str]:
    sources = [each.source for each in (*lock.inputs, *lock.buildroot)]
    return {source.partition(":")[2].partition("/")[0] for source in sources if source.startswith("deb")}


def _packages(recipe: Recipe, lock: Lock, wish: Wish, apt: AptClient) -> list[str]:
    """Libraries of userlands that moved though the packages that need them did not."""
    told: list[str] = []
    for name, component in recipe.components.items():
        if isinstance(component, UserlandComponent) and (not wish.names or name in wish.names):
            now = lock_userland(apt, name, component.packages)
            told += _moved_packages(lock.of(name), now)
    return told


def _moved_packages(old: Sequence[LockedInput], new: Sequence[LockedInput]) -> Iterator[str]:
    before, after = ({each.source.partition("=")[0].rpartition("/")[2]: each for each in side} for side in (old, new))
    for name in sorted(before.keys() & after.keys()):
        one, two = (side[name].source.partition("=")[2] for side in (before, after))
        if one != two:
            yield f"{after[name].component}: {name} {one} -> {two}"


def _without(recipe: Recipe, old: Lock, wish: Wish) -> Lock:
    """The old lock without the packages that shall be looked for anew."""
    names = {name for name, one in recipe.components.items() if isinstance(one, UserlandComponent)}
    names &= set(wish.names) or names
    kept = tuple(each for each in old.inputs if each.component not in names)
    root = () if not wish.names or ROOT in wish.names else old.buildroot
    return replace(old, inputs=kept, buildroot=root)


def _bundle(recipe: Recipe, files: Mapping[str, bytes], update: Update, wish: Wish) -> Iterator[Edit]:
    """New content needs a new version and a higher sequence: nodes go by them."""
    if wish.same_version:
        return
    # A published image's tag has more than the version that a bundle is named after.
    moved = [(each.old, each.new) for each in update.newer]
    moved += [(old, new) for each in update.newer if (old := bare(each.old)) != (new := bare(each.new))]
    version = wish.bundle or next_bundle(recipe.version, moved)
    yield Edit(file=keys.BUNDLE, path=("version",), old=recipe.version, new=version)
    if has(files[keys.BUNDLE], ("sequence",)):
        yield Edit(file=keys.BUNDLE, path=("sequence",), old=str(recipe.sequence), new=str(recipe.sequence + 1))


def _files(folder: Path) -> dict[str, bytes]:
    return {name: read_limited(folder / name) for name in keys.FILES if (folder / name).is_file()}


@contextlib.contextmanager
def _copy(folder: Path) -> Iterator[Path]:
    """A copy of the recipe beside it, where its base is found too."""
    here = folder.resolve()
    with os_errors(here.parent):
        temp = Path(tempfile.mkdtemp(prefix=".sealift-update-", dir=here.parent))
    try:
        with os_errors(temp):
            shutil.copytree(here, temp, dirs_exist_ok=True, symlinks=True)
        yield temp
    finally:
        remove_tree(temp)
