"""Locking Go components: the wrapper module beside the recipe, and whether the checksum database knows its sums."""

import fnmatch
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder.errors import RecipeError, StepError
from builder.lock.model import LockedInput, LockedSum, LockedTool
from builder.recipe.crypto import uses_c
from builder.recipe.model import GoComponent, Recipe
from builder.recipe.places import beside
from builder.sources.go import SOURCE_PREFIX, TOOL_PREFIX, GoModules, list_packages, read_wrapper
from builder.sources.goclient import GoClient, download_error, toolchain_module
from builder.sources.gomod import (
    Module,
    disagreements,
    files_digest,
    matches_prefix,
    parse_mod,
    parse_sums,
    wrapper,
)
from builder.sources.modhash import folder_hash
from builder.tree import folder_digest
from bundles import jsontext
from bundles.errors import FormatError, MissingError
from bundles.platform import Platform

GO_PREFIX = "go:"


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedComponent:
    """What a component is locked to, and the wrapper files to write into the recipe (empty: they stay)."""

    locked: LockedInput
    files: Mapping[PurePosixPath, bytes]


def lock_tool(modules: GoModules, version: str, host: Platform) -> LockedTool:
    """Go's version -> the toolchain, hashed and known to the checksum database."""
    source = f"{TOOL_PREFIX}{version}"
    module = toolchain_module(version, host)
    h1 = _h1(modules, module, source, more={})
    size = (modules.store.go_mod / "cache/download" / module.escaped_zip).stat().st_size
    return LockedTool(source=source, h1=h1, size=size)


def lock_source(modules: GoModules, component: str, source: str) -> LockedInput:
    """`go-source:MODULE@VERSION` -> its h1, known to the checksum database."""
    module = Module.parse(source.removeprefix(SOURCE_PREFIX))
    return LockedInput(component=component, source=source, h1=_h1(modules, module, component, more={}))


def lock_component(
    modules: GoModules, recipe: Recipe, component: GoComponent, old: LockedInput | None
) -> LockedComponent:
    """A component -> its lock. `modules` must run the locked toolchain; `old` is its entry in the old lock.

    The wrapper in `go/<component>/` stays when it says what the recipe says, else it is made anew. Its go.sum is held
    against the checksum database unless the old lock has the same one. Raises RecipeError, MissingError, StepError,
    FormatError.
    """
    below = PurePosixPath("go", component.name)
    files, made = _wrapper_files(modules, component, beside(recipe, below))
    main = Module(path=component.module or "", version=component.version)
    sums = parse_sums(files["go.sum"].decode(), beside(recipe, below) / "go.sum")
    if main not in sums:
        raise RecipeError(f"go.sum has no line for {main}", where=beside(recipe, below))
    pinned = _sum(modules, recipe, component, below, files, old)
    locked = LockedInput(component=component.name, source=f"{GO_PREFIX}{main}", h1=sums[main], sum=pinned)
    return LockedComponent(locked=locked, files={below / name: data for name, data in files.items()} if made else {})


def lock_folder(modules: GoModules, recipe: Recipe, component: GoComponent, old: LockedInput | None) -> LockedInput:
    """A Go module beside the recipe -> its folder's digest, and its go.sum where it needs other modules."""
    below = component.folder or PurePosixPath()
    folder = beside(recipe, below)
    pinned = None
    if (folder / "go.sum").exists():
        pinned = _sum(modules, recipe, component, below, read_wrapper(folder), old)
    return LockedInput(component=component.name, source=f"folder:{below}", digest=folder_digest(folder), sum=pinned)


def _sum(
    modules: GoModules, recipe: Recipe, component: GoComponent, below: PurePosixPath, files: Mapping[str, bytes],
    old: LockedInput | None,
) -> LockedSum:  # fmt: skip
    digest = files_digest(files)
    if old is not None and old.sum is not None and (old.sum.folder, old.sum.digest) == (str(below), digest):
        return old.sum
    check_sums(modules.client, recipe, component, files)
    sums = parse_sums(files["go.sum"].decode(), below / "go.sum")
    unverified = _unverified(modules.client, component, sums)
    return LockedSum(folder=str(below), digest=digest, modules=len(sums), unverified=unverified)


def check_sums(client: GoClient, recipe: Recipe, component: GoComponent, files: Mapping[str, bytes]) -> None:
    """Makes the go.sum again from nothing, so that go asks the checksum database for every module of a build.

    Raises RecipeError when a line differs from the wrapper's or is missing there, or when go.mod is not tidy.
    """
    cgo = uses_c(component, recipe)
    where, more = str(component.folder or f"go/{component.name}"), _no_sumdb(client, component)
    hint = f"remove {where} and run `sealift lock` to make it anew"
    with client.store.temp_folder("gosum") as temp:
        cwd = temp / "module"
        if component.folder is not None:
            shutil.copytree(beside(recipe, component.folder), cwd, symlinks=True)
        cwd.mkdir(exist_ok=True)
        for name, data in files.items():
            (cwd / name).write_bytes(data)
        (cwd / "go.sum").unlink()
        for platform in recipe.platforms:
            try:
                list_packages(client, component, platform, cgo=cgo, mode="mod", cwd=cwd, what=where, more=more)
            except StepError as exc:
                raise _database_error(exc, component) from exc
        sums = cwd / "go.sum"
        made = set(sums.read_text().splitlines() if sums.exists() else ())  # none for a module that asks for none
        wrong = sorted(made - set(files["go.sum"].decode().splitlines()))
        if wrong:
            raise RecipeError("go.sum is not what is served and vouched for", where=where, want=wrong[0], hint=hint)
        if (cwd / "go.mod").read_bytes() != files["go.mod"]:
            raise RecipeError("go.mod is not complete", where=where, hint=hint)


def _wrapper_files(modules: GoModules, component: GoComponent, folder: Path) -> tuple[dict[str, bytes], bool]:
    """The wrapper's files, and whether they were made anew."""
    try:
        files = read_wrapper(folder)
    except MissingError:
        return _make_wrapper(modules, component), True
    printed = modules.client.call(["mod", "edit", "-json", "go.mod"], cwd=folder, what=component.name)
    mod = parse_mod(printed.stdout, folder / "go.mod")
    if disagreements(component, mod, files.get("tools.go", b"").decode()):
        return _make_wrapper(modules, component), True
    return files, False


def _make_wrapper(modules: GoModules, component: GoComponent) -> dict[str, bytes]:
    client, what = modules.client, component.name
    more = _no_sumdb(client, component)
    main = Module(path=component.module or "", version=component.version)
    with client.store.temp_folder("gomod") as cwd:
        download = client.download([main], cwd=cwd, what=what, more=more)[0]
        printed = client.call(["mod", "edit", "-json", download.gomod], cwd=cwd, what=what).stdout
        upstream = _requires(printed)
        replaces = _replaces(client, component, upstream, cwd)
        # The `go` line selects run-time defaults (go.dev/doc/godebug): upstream's own, so that programs behave alike.
        go = _go_line(printed)
        for name, data in wrapper(component, go, replaces).items():
            (cwd / name).write_bytes(data)
        # -e: tests of dependencies may import what nobody serves; what a build needs is checked right after.
        tidy = client.call(["mod", "tidy", "-e"], cwd=cwd, what=what, check=False, more=more)
        if not (cwd / "go.sum").exists():
            raise StepError("go mod tidy made no go.sum", where=what, got=tidy.tail)
        return read_wrapper(cwd)


def _requires(printed: bytes) -> list[Module]:
    """What an upstream go.mod requires; its replaces do not count in other modules, so they are not parsed."""
    plain = jsontext.decode_plain(printed, where="go.mod")
    return [Module(path=entry["Path"], version=entry["Version"]) for entry in plain.get("Require") or []]


def _go_line(printed: bytes) -> str:
    return str(jsontext.decode_plain(printed, where="go.mod").get("Go") or "1.21")


def _replaces(client: GoClient, component: GoComponent, upstream: Sequence[Module], cwd: Path) -> dict[str, str]:
    """The recipe's patterns -> a version for each upstream requirement that has this version."""
    found: dict[str, str] = {}
    for pattern, version in component.replace.items():
        wanted = [module for module in upstream if fnmatch.fnmatchcase(module.path, pattern)]
        asked = [Module(path=module.path, version=version) for module in wanted]
        if not asked:
            raise RecipeError(f"nothing it requires matches `replace: {pattern}`", where=component.name)
        downloads, text = client.try_download(asked, cwd=cwd, what=component.name)
        served = [download.module for download in downloads if not download.error]
        if not served:
            got = text or "\n".join(download.error for download in downloads)
            raise MissingError(f"nothing that matches {pattern} has version {version}", where=component.name, got=got)
        found.update((module.path, module.version) for module in served)
    return found


def _h1(modules: GoModules, module: Module, what: str, more: Mapping[str, str]) -> str:
    with modules.store.temp_folder("go") as cwd:
        download = modules.client.download([module], cwd=cwd, what=what, more=more)[0]
    got = folder_hash(Path(download.folder), str(module))
    if got != download.sum:
        raise FormatError(f"{module} is damaged in the store", where=download.folder, got=got, want=download.sum)
    return got


def _setting(client: GoClient, name: str) -> str:
    return client.call(["env", name], cwd=client.store.root, what=f"go env {name}").stdout.decode().strip()


def _no_sumdb(client: GoClient, component: GoComponent) -> dict[str, str]:
    """Leaves what the recipe names to trust on first use; the machine's own exceptions stay."""
    named = [*([] if component.sumdb else [component.module or ""]), *component.unverified]
    if not named:
        return {}
    patterns = [_setting(client, "GONOSUMDB"), *named]
    return {"GONOSUMDB": ",".join(filter(None, patterns))}


def _unverified(client: GoClient, component: GoComponent, sums: Mapping[Module, str]) -> tuple[str, ...]:
    """Modules that no checksum database vouched for: by the recipe's word or the machine's settings."""
    if _setting(client, "GOSUMDB") == "off":
        return tuple(sorted({module.path for module in sums}))
    patterns = _no_sumdb(client, component).get("GONOSUMDB") or _setting(client, "GONOSUMDB")
    return tuple(sorted({module.path for module in sums if matches_prefix(patterns, module.path)}))


def _database_error(error: StepError, component: GoComponent) -> Exception:
    return download_error(error.got, f"a module of {component.name}", component.name)
