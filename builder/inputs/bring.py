"""From an input archive towards the store: what a fetch is about to need is looked at, all of it, before any is used.

Blobs are put into the store, where the fetch that follows finds them. Modules stay where they are: go reads them
through the archive's proxy folder, which was looked at here, and what it unpacks is hashed against the lock as ever.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from builder.inputs.archive import MEND, InputArchive
from builder.inputs.blobs import Blobs, blob_inputs, image_inputs
from builder.inputs.model import GO, GO_MOD, Input
from builder.lock.model import Lock, LockedFile, LockedInput, LockedTool
from builder.process import Cancel
from builder.recipe.model import GoComponent, Recipe
from builder.recipe.places import beside
from builder.sources.deb import whole
from builder.sources.go import SOURCE_PREFIX, TOOL_PREFIX, read_wrapper
from builder.sources.goclient import toolchain_module
from builder.sources.gomod import Module, parse_mod_sums, parse_sums
from builder.store import Store
from bundles.errors import FormatError, MissingError, SealiftError

if TYPE_CHECKING:
    from builder.fetch import FetchOptions

BUILD_ROOT: Final = "build root"  # begins the name of the wanted build root (builder.buildroot.fetching)
_Module = tuple[str, str, bool]  # source, h1 (empty: the lock has none), whether there is no building without it


class Needs(Protocol):
    """What FetchOptions and BuildOptions share."""

    @property
    def store(self) -> Store:
        """Where to."""

    @property
    def offline(self) -> bool:
        """Whether nobody else can be asked."""

    @property
    def cancel(self) -> Cancel:
        """The switch that ends it."""


def bring(archive: InputArchive, recipe: Recipe, lock: Lock, names: Collection[str], options: "FetchOptions") -> None:
    """Checks what the wanted sources called `names` need of the archive, and brings their blobs into the store.

    Offline all that is missing or damaged is told at once (MissingError, FormatError); else only what is damaged, or
    not what the lock says: what is missing comes from the network.
    """
    inputs = [each for each in lock.inputs if each.component in names or each.source in names]
    root = any(name.startswith(BUILD_ROOT) for name in names)
    blobs = [each for each in blob_inputs(lock, root=False) if each.names & set(names)]
    blobs += list(blob_inputs(replace(lock, inputs=(), charts=(), images=()))) if root else []
    tools = [tool for tool in lock.tools if tool.source in names]
    faults: list[SealiftError] = []
    modules: dict[str, Input] = {}
    for source, h1, needed in _modules(recipe, tools, inputs, options):
        found = archive.find(source)
        if found is None:
            faults += [_missing(source)] if needed else []
        elif h1 and found.h1 != h1:
            faults.append(_other(source, found.h1, h1))
        else:
            modules[source] = found
    faults += archive.faults(modules.values(), options.cancel)
    faults += _bring_blobs(archive, blobs, options)
    _raise(archive, faults if options.offline else [each for each in faults if not isinstance(each, MissingError)])


def bring_images(archive: InputArchive, lock: Lock, options: Needs) -> None:
    """Brings the blobs of all mirrored images into the store; raises as `bring`."""
    faults = list(_bring_blobs(archive, image_inputs(lock), options))
    _raise(archive, faults if options.offline else [each for each in faults if not isinstance(each, MissingError)])


def _bring_blobs(archive: InputArchive, blobs: Iterable[Blobs], options: Needs) -> Iterator[SealiftError]:
    for each in blobs:
        for file in each.files:
            yield from _bring_blob(archive, each.source, file, options)


def _bring_blob(archive: InputArchive, source: str, file: LockedFile, options: Needs) -> Iterator[SealiftError]:
    """Puts a blob into the store; gives the fault that keeps it from there."""
    options.cancel.check()
    if whole(options.store, file):
        return
    held = archive.find(source)
    found = next((one for one in held.files if one.digest == file.digest), None) if held is not None else None
    if found is None:
        yield _missing(source) if held is None else _other(f"{file.name} of {source}", "other content", file.digest)
        return
    try:
        with archive.open(found) as content, options.store.writing(want=file.digest) as writer:
            left = found.size
            while left and (chunk := content.read(min(1 << 20, left))):
                writer.write(chunk)
                left -= len(chunk)
    except SealiftError as exc:
        damaged = FormatError("damaged", where=archive.folder / found.path, got=exc.got, want=exc.want, hint=MEND)
        yield exc if isinstance(exc, MissingError) else damaged


def _modules(
    recipe: Recipe, tools: Sequence[LockedTool], inputs: Sequence[LockedInput], options: "FetchOptions"
) -> Iterator[_Module]:
    """All that is needed of Go modules, and what may be: go.sum has lines that no build needs."""
    for each in inputs:
        if isinstance(recipe.components.get(each.component), GoComponent):
            yield from _of_component(recipe, each)
        elif each.source.startswith(SOURCE_PREFIX):
            yield from _pair(Module.parse(each.source.removeprefix(SOURCE_PREFIX)), each.h1 or "")
    for tool in tools:
        if tool.source.startswith(TOOL_PREFIX):
            yield from _pair(toolchain_module(tool.source.removeprefix(TOOL_PREFIX), options.host), tool.h1)


def _of_component(recipe: Recipe, each: LockedInput) -> Iterator[_Module]:
    if each.sum is None:
        return
    folder = beside(recipe, each.sum.folder)
    text = read_wrapper(folder)["go.sum"].decode("utf-8", "replace")
    if each.source.startswith(GO):
        yield each.source, each.h1 or "", True
    # What the archive has of these is checked; what it lacks of them, go will say when it needs it.
    for module, h1 in parse_sums(text, folder / "go.sum").items():
        yield f"{GO}{module}", h1, False
    for module, h1 in parse_mod_sums(text, folder / "go.sum").items():
        yield f"{GO_MOD}{module}", h1, False


def _pair(module: Module, h1: str) -> Iterator[_Module]:
    yield f"{GO}{module}", h1, True
    yield f"{GO_MOD}{module}", "", True


def _missing(source: str) -> MissingError:
    return MissingError("not in the archive", where=source, hint=MEND)


def _other(source: str, got: object, want: object) -> FormatError:
    hint = "find out why before you trust it: the archive was made for another lock, or somebody changed it"
    return FormatError("not what is locked", where=source, got=got, want=want, hint=hint)


def _raise(archive: InputArchive, faults: Sequence[SealiftError]) -> None:
    if not faults:
        return
    if len(faults) == 1:
        raise faults[0]
    kind = MissingError if all(isinstance(each, MissingError) for each in faults) else FormatError
    rows = "".join(f"\n    {each.where}: {each.message}" for each in faults)
    hints = list(dict.fromkeys(each.hint for each in faults if each.hint))
    raise kind("the input archive has not all that this needs", where=archive.folder, got=rows, hint="\n".join(hints))
