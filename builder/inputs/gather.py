"""What a lock's inputs are as files in the store: the list that `sealift fetch --to` writes.

Blobs are what the lock says. Of Go components the module closure counts: what `go mod download` brings for the
go.mod beside the recipe, and every go.mod that go reads to load the module graph. Both follow from go.mod, go.sum and
the toolchain, not from what else the store happens to hold.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builder.errors import RecipeError
from builder.fetch import FetchOptions, go_modules
from builder.inputs.blobs import Blobs, blob_inputs
from builder.inputs.model import GO, GO_MOD, PACKAGES, blob_path, go_path, info, package_path
from builder.inputs.ziphash import mod_hash
from builder.lock.model import Lock, LockedInput
from builder.recipe.model import GoComponent, Recipe
from builder.recipe.places import beside
from builder.sources.go import SOURCE_PREFIX, TOOL_PREFIX, GoModules, read_wrapper, with_toolchain
from builder.sources.goclient import module_zip, toolchain_module
from builder.sources.gomod import Module, parse_mod_sums, parse_sums
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One file to write: its path in the archive, and where its bytes are: a file, or memory.

    `digest` is what it must have, where that is known; a zip without one is held against its input's h1.
    """

    path: str
    origin: Path | bytes
    digest: Digest | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """An input (see inputs.model.Input) and its files, not hashed yet."""

    source: str
    parts: tuple[Part, ...]
    h1: str = ""


def gather(recipe: Recipe, lock: Lock, options: FetchOptions) -> tuple[Gathered, ...]:
    """Everything that a lock names, by source. `builder.fetch.fetch` must have brought all of it.

    Asks the module proxy for go.mod files alone that a build can do without but the module graph cannot, unless
    `options.offline`. Raises RecipeError, MissingError, FormatError, StepError.
    """
    modules = go_modules(options)
    found: dict[str, Gathered] = {}
    for each in _all(recipe, lock, modules, options):
        if found.setdefault(each.source, each).h1 != each.h1:
            raise FormatError(f"two hashes for {each.source}", where=recipe.folder, got=each.h1)
    return tuple(each for _, each in sorted(found.items()))


def _all(recipe: Recipe, lock: Lock, modules: GoModules, options: FetchOptions) -> Iterator[Gathered]:
    store = options.store
    for tool in lock.tools:
        if tool.source.startswith(TOOL_PREFIX):
            module = toolchain_module(tool.source.removeprefix(TOOL_PREFIX), options.host)
            yield from _module(store, module, tool.h1)
    through = with_toolchain(modules, recipe, options.host) if recipe.go else modules
    for each in lock.inputs:
        options.cancel.check()
        if isinstance(recipe.components.get(each.component), GoComponent):
            if each.sum is not None:
                yield from _closure(each, beside(recipe, each.sum.folder), through)
        elif each.source.startswith(SOURCE_PREFIX):
            yield from _module(store, Module.parse(each.source.removeprefix(SOURCE_PREFIX)), each.h1 or "")
    for blobs in blob_inputs(lock):
        yield _blobs(store, blobs)


def _blobs(store: Store, each: Blobs) -> Gathered:
    """The files of a package, or of anything else that the lock has by digest."""
    package = each.source.startswith(PACKAGES)
    files = sorted({file.digest: file for file in each.files}.values(), key=lambda file: file.name)
    digests = tuple(file.digest for file in files)
    parts = [
        Part(
            path=package_path(each.source, file.name, digests) if package else blob_path(file.digest),
            origin=store.path(file.digest),
            digest=file.digest,
        )
        for file in files
    ]
    return Gathered(source=each.source, parts=tuple(parts))


def _module(store: Store, module: Module, h1: str) -> Iterator[Gathered]:
    """A module that no go.mod stands for: a toolchain, sources of C programs. What go says of its go.mod is taken."""
    yield _zip(store, module, h1)
    mod = module_zip(store, module).with_suffix(".mod")
    if not mod.is_file():
        raise MissingError(f"no go.mod of {module} in the store", where=mod, hint="sealift fetch, with network")
    yield _mod(module, mod, mod_hash(mod.read_bytes()))


def _zip(store: Store, module: Module, h1: str) -> Gathered:
    told = info(module)
    parts = (
        Part(path=go_path(module, "info"), origin=told, digest=Digest.of(told)),
        Part(path=go_path(module, "zip"), origin=module_zip(store, module)),
    )
    return Gathered(source=f"{GO}{module}", parts=parts, h1=h1)


def _mod(module: Module, path: Path, h1: str) -> Gathered:
    data = path.read_bytes()
    if mod_hash(data) != h1:
        hint = "remove it; the next sealift fetch brings it again"
        raise FormatError(f"the go.mod of {module} is damaged", where=path, got=mod_hash(data), want=h1, hint=hint)
    return Gathered(
        source=f"{GO_MOD}{module}",
        parts=(Part(path=go_path(module, "mod"), origin=data, digest=Digest.of(data)),),
        h1=h1,
    )


def _closure(each: LockedInput, folder: Path, modules: GoModules) -> Iterator[Gathered]:
    """The modules of a Go component."""
    files = read_wrapper(folder)
    text = files["go.sum"].decode()
    sums, mods = parse_sums(text, folder / "go.sum"), parse_mod_sums(text, folder / "go.sum")
    with modules.store.temp_folder("inputs") as temp:
        cwd = Path(shutil.copytree(folder, temp / "module", symlinks=True))
        downloads = modules.client.download([], cwd=cwd, what=each.component)
        modules.ensure(downloads, sums, cwd, each.component)
        graph = temp / "graph"
        _load_graph(modules, graph, cwd, each.component)
        for module in sorted({download.module for download in downloads}):
            yield _zip(modules.store, module, sums[module])
        for path in sorted((graph / "cache/download").rglob("*.mod")):
            module = _module_at(path.relative_to(graph / "cache/download"))
            yield _mod(module, path, _known(mods, module, folder))


def _load_graph(modules: GoModules, cache: Path, cwd: Path, what: str) -> None:
    """Loads the module graph with an empty cache, from the store's: what is in it then is what go needs."""
    store = (modules.store.go_mod / "cache/download").as_uri()
    client = modules.client
    proxies = store if client.offline else f"{store},{client.proxies or client.setting('GOPROXY')}"
    # go.sum vouches for every go.mod that is read, so nobody else is asked.
    more = {"GOMODCACHE": str(cache), "GOSUMDB": "off", "GOFLAGS": "-mod=readonly -modcacherw"}
    replace(client, proxies=proxies).call(["mod", "graph"], cwd=cwd, what=what, more=more)


def _module_at(path: Path) -> Module:
    """`PATH/@v/VERSION.mod` -> the module; `!x` is `X`."""
    plain = path.with_suffix("").as_posix()
    name, _, version = plain.partition("/@v/")
    return Module(path=_unescaped(name), version=_unescaped(version))


def _unescaped(text: str) -> str:
    head, *rest = text.split("!")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _known(mods: Mapping[Module, str], module: Module, folder: Path) -> str:
    if module not in mods:
        raise RecipeError(f"go.sum has no line for the go.mod of {module}", where=folder, hint="run `sealift lock`")
    return mods[module]
