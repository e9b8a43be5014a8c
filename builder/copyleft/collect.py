"""Brings the sources that are asked for into a folder, each verified, with the list that explains every choice."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from builder.copyleft.listing import Row, list_document, list_text
from builder.copyleft.shipped import Shipped
from builder.fetch import FetchOptions, go_modules
from builder.inputs.gather import Gathered, Part
from builder.inputs.model import GO, InputFile, blob_path, go_path, info, package_path
from builder.inputs.text import format_sums
from builder.inputs.write import Target, place
from builder.lock.model import Lock, LockedFile
from builder.sources.apt import AptClient
from builder.sources.deb import SOURCE_PREFIX, WantedPackage, whole
from builder.sources.go import GoModules
from builder.sources.goclient import module_zip
from builder.sources.gomod import Module
from builder.sources.modhash import folder_hash
from builder.sources.verified import Verified
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.files import write_atomic

LIST: Final = "sources.json"
TEXT: Final = "SOURCES.txt"
SUMS: Final = "SHA256SUMS"
_REBUILT: Final = re.compile(r"\+b\d+$")  # of a binary package that was built again from the same source


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What to collect for: the name of the bundle, what it ships; with a recipe its lock and the tar of both."""

    name: str
    things: tuple[Shipped, ...]
    lock: Lock | None = None
    recipe: bytes | None = None
    architecture: str = "amd64"


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """The list's rows, and the number and bytes of the files."""

    rows: tuple[Row, ...]
    files: int
    size: int

    @property
    def missing(self) -> tuple[Row, ...]:
        """Asked for, and not there."""
        return tuple(row for row in self.rows if row.asked and not row.files)


def collect(wanted: Wanted, target: Path, options: FetchOptions) -> Collected:
    """Writes sources, recipe, list and checksums below `target`.

    What cannot be had stands in the list with the reason; everything else is there. Raises SealiftError for disks,
    FormatError for other bytes than the bill or a signed index says.
    """
    finder = _Finder(wanted, options)
    sources = {each.source for each in wanted.things if each.asked and each.source}
    found: dict[str, Gathered | str] = {source: finder.find(source) for source in sorted(sources)}
    gathered = [each for each in found.values() if isinstance(each, Gathered)]
    writing = Target(folder=target, verified=Verified(options.store), say=options.say, cancel=options.cancel)
    unique = {each.source: each for each in gathered}
    inputs, _ = place([each for _, each in sorted(unique.items())], writing, {})
    files = {each.source: each.files for each in inputs}
    rows = tuple(_row(each, found.get(each.source, ""), files) for each in wanted.things)
    return _finish(wanted, rows, {file for each in files.values() for file in each}, target)


def _row(each: Shipped, found: Gathered | str, files: dict[str, tuple[InputFile, ...]]) -> Row:
    there = files[found.source] if isinstance(found, Gathered) else ()
    why = each.why
    if each.asked and not there:
        why += f"; not there: {found or 'nobody can say where its source is'}"
    return Row(
        what=each.key,
        licence=each.licence,
        asked=each.asked,
        why=why,
        files=tuple(file.path for file in there),
    )


def _finish(wanted: Wanted, rows: tuple[Row, ...], files: set[InputFile], target: Path) -> Collected:
    documents = {LIST: list_document(wanted.name, rows), TEXT: list_text(wanted.name, rows)}
    for name, data in documents.items():
        write_atomic(target / name, data)
        files = files | {InputFile(path=name, size=len(data), digest=Digest.of(data))}
    write_atomic(target / SUMS, format_sums(files))
    return Collected(rows=rows, files=len(files), size=sum(file.size for file in files))


@dataclass
class _Finder:
    """Brings one source after the other into the store."""

    wanted: Wanted
    options: FetchOptions
    modules: GoModules = field(init=False)
    apt: AptClient = field(init=False)

    def __post_init__(self) -> None:
        options = self.options
        self.modules = go_modules(options)
        self.apt = AptClient(
            store=options.store,
            host_env=options.env,
            architecture=self.wanted.architecture,
            offline=options.offline,
            cancel=options.cancel,
        )

    def find(self, source: str) -> Gathered | str:
        """A source's files in the store; in words why not, when they cannot be had."""
        self.options.cancel.check()
        kind, _, rest = source.partition(":")
        finders: dict[str, Callable[[str], Gathered | str]] = {
            "go": self._module,
            "deb-source": self._source_package,
            "deb": self._package,
            "recipe": self._recipe,
            "url": self._url,
            "component": self._component,
        }
        try:
            return finders[kind](rest) if kind in finders else f"{source}: whoever published it has its source"
        except FormatError:
            raise
        except SealiftError as exc:
            return " ".join(f"{exc.message} {exc.got}".split())[:300]

    def _module(self, rest: str) -> Gathered:
        module = Module.parse(rest)
        h1 = next((each.h1 for each in self.wanted.things if each.source == f"{GO}{rest}" and each.h1), "")
        with self.options.store.temp_folder("go") as cwd:
            (download,) = self.modules.client.download([module], cwd=cwd, what=rest)
        if h1 and (got := folder_hash(Path(download.folder), str(module))) != h1:
            raise FormatError(f"{module} is not what was compiled", where=download.folder, got=got, want=h1)
        told = info(module)
        parts = (
            Part(path=go_path(module, "info"), origin=told, digest=Digest.of(told)),
            Part(path=go_path(module, "zip"), origin=module_zip(self.options.store, module)),
        )
        return Gathered(source=f"{GO}{rest}", parts=parts, h1=h1 or download.sum)

    def _package(self, rest: str) -> Gathered:
        """A binary package whose source package the bill does not name: what was linked in, a -dev package."""
        return self._source_package(self.apt.source_of(rest))

    def _source_package(self, rest: str) -> Gathered:
        name, _, version = rest.partition("=")
        package = f"{name}={_REBUILT.sub('', version)}"
        files = self._locked(package)
        if not files:
            if not self.options.offline:
                self.apt.ensure_lists()
            files = self.apt.find(package, source=True).files
        self.options.say(f"fetching source package {package}")
        WantedPackage(
            name=f"{SOURCE_PREFIX}sources/{package}", client=self.apt, verified=self.modules.verified, files=files
        ).fetch()
        digests = tuple(file.digest for file in files)
        source = f"{SOURCE_PREFIX}sources/{package}"
        parts = tuple(
            Part(
                path=package_path(source, file.name, digests),
                origin=self.options.store.path(file.digest),
                digest=file.digest,
            )
            for file in files
        )
        return Gathered(source=source, parts=parts)

    def _locked(self, package: str) -> tuple[LockedFile, ...]:
        """The files of a source package that the lock pins already."""
        for each in self.wanted.lock.inputs if self.wanted.lock is not None else ():
            if each.source.startswith(SOURCE_PREFIX) and each.source.rpartition("/")[2] == package:
                return each.files
        return ()

    def _recipe(self, rest: str) -> Gathered | str:
        if self.wanted.recipe is None:
            return "it lies beside the recipe: give the recipe's folder in place of the bundle"
        digest = Digest.of(self.wanted.recipe)
        part = Part(path=f"recipe-{self.wanted.name}.tar", origin=self.wanted.recipe, digest=digest)
        return Gathered(source="recipe:", parts=(part,))

    def _url(self, rest: str) -> Gathered | str:
        """What was compiled from an archive at a URL: that archive."""
        for each in self.wanted.lock.inputs if self.wanted.lock is not None else ():
            if each.source == f"url:{rest}":
                parts = tuple(
                    Part(path=blob_path(file.digest), origin=self.options.store.path(file.digest), digest=file.digest)
                    for file in each.files
                    if whole(self.options.store, file)
                )
                return Gathered(source=each.source, parts=parts) if parts else "not in the store: run `sealift fetch`"
        return "give the recipe's folder in place of the bundle: its lock says what lay there"

    def _component(self, rest: str) -> Gathered | str:
        locked = self.wanted.lock.of(rest) if self.wanted.lock is not None else ()
        if locked and not locked[0].source.startswith(("file:", "folder:")):
            return f"{locked[0].source}: whoever published it has its source"
        return self._recipe("")


def things_and_recipe(things: Sequence[Shipped], name: str) -> tuple[Shipped, ...]:
    """What is shipped, and the recipe: how all of it is built is part of a GPL source (GPL-3.0 section 1)."""
    why = "build instructions: the recipe, its lock, and what lies beside it"
    return (*things, Shipped(key=f"recipe:{name}", licence="", asked=True, why=why, source="recipe:"))
