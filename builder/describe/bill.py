"""Recipe, lock and receipts -> the bill of a bundle: every part once, and how they belong together. Pure.

Nothing is looked up: what programs carry is what the Go linker wrote into them, what packages are is their control
record, both kept in receipts when the files were made.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from builder.describe import parts, published, purl
from builder.describe.model import Bill, Edge, Kind, Part, Relation
from builder.describe.receipts import MODULES, PACKAGES, SOURCE, TEXTS, BuildFacts
from builder.lock.model import LockedInput
from builder.plan.model import Output
from builder.recipe.elsewhere import ArchiveImage
from builder.recipe.fetched import ImageFilesComponent, UrlComponent
from builder.recipe.model import (
    CHARTS,
    CompileComponent,
    DebComponent,
    FileComponent,
    GoComponent,
    Image,
    Placement,
    UserlandComponent,
)
from bundles.digest import Digest
from bundles.reference import Reference

BUNDLE: Final = "bundle"
_LINKED: Final = "-dev"  # Debian's packages of what is linked in; all others only work on it


def make_bill(facts: BuildFacts, name: str, images: Iterable[tuple[Reference, Digest]]) -> Bill:
    """Facts, the bundle's folder name, and its images (reference, manifest's digest) -> the bill."""
    made = _Maker(facts)
    made.add(Part(key=BUNDLE, kind=Kind.BUNDLE, name=facts.recipe.name, version=facts.recipe.version))
    keys = {image.reference.name: key for key, image in facts.recipe.images.items()}
    for reference, digest in images:
        made.image(facts.recipe.images[keys[reference.name]], reference, digest)
    first, *rest = made.parts.values()
    return Bill(
        name=name,
        created=facts.lock.epoch,
        tool=("sealift", facts.sealift),
        parts=(first, *sorted(rest, key=lambda part: part.key)),
        edges=tuple(sorted(made.edges)),
        texts=dict(sorted(made.texts.items())),
    )


class _Maker:
    """Collects parts and edges; a part that several images hold is one part."""

    def __init__(self, facts: BuildFacts) -> None:
        self._facts = facts
        self._places = _places(facts)
        self.parts: dict[str, Part] = {}
        self.edges: set[Edge] = set()
        self.texts: dict[str, str] = {}

    def add(self, part: Part) -> str:
        """Keeps a part; returns its key."""
        self.parts.setdefault(part.key, part)
        return part.key

    def _link(self, subject: str, relation: Relation, target: str) -> None:
        self.edges.add(Edge(subject=subject, relation=relation, target=target))

    def image(self, image: Image, reference: Reference, digest: Digest) -> None:
        """An image and all that its layers hold."""
        key = self.add(
            Part(
                key=f"image:{reference.name}",
                kind=Kind.IMAGE,
                name=f"{reference.domain}/{reference.repository}",
                version=reference.tag or "",
                purl=purl.image(reference, digest, self._facts.platform.architecture),
                sha256=digest,
            )
        )
        self._link(BUNDLE, Relation.CONTAINS, key)
        for placement in (each for layer in image.layers for each in layer):
            for part in self._placement(placement):
                self._link(key, Relation.CONTAINS, part)
        if (locked := self._facts.lock.image_source(image.name)) is not None:
            for origin in published.image_parts(locked):
                self._link(key, Relation.GENERATED_FROM, self.add(origin))
        elif isinstance(image, ArchiveImage):
            (found,) = self._facts.lock.of(image.component)
            self._link(key, Relation.GENERATED_FROM, self.add(self._source(found, "", "")))

    def _placement(self, placement: Placement) -> list[str]:
        if placement.component == CHARTS:
            return [self._chart(name) for name in self._facts.recipe.charts]
        component = self._facts.recipe.components[placement.component]
        if isinstance(component, UserlandComponent):
            return [self.add(part) for part in self._packages(component.name)]
        outputs = self._facts.receipts[f"component {component.name}"].outputs
        names = [name for name in sorted(outputs) if placement.output in (None, name)]
        if isinstance(component, GoComponent):
            return [self._go_program(component, name, outputs[name]) for name in names]
        if isinstance(component, CompileComponent):
            return [self._c_program(component, name, outputs[name]) for name in names]
        if isinstance(component, UrlComponent | ImageFilesComponent):
            return [self._published(component, name, outputs[name]) for name in names]
        return [self._taken(component, name, outputs[name]) for name in names]

    def _chart(self, name: str) -> str:
        receipt = self._facts.receipts[f"chart {name}"]
        archive = receipt.outputs[receipt.facts["archive"]].digest
        licence = self._facts.licences(f"chart {name}").get(SOURCE, "")
        return self.add(
            parts.chart(self._facts.recipe.charts[name].manifest_name, receipt.facts["version"], archive, licence)
        )

    def _packages(self, component: str) -> list[Part]:
        found = self._facts.licences(component)
        self.texts.update(found.get(TEXTS, {}))
        suites = {_deb_name(each): _suite(each) for each in self._facts.lock.of(component)}
        return [parts.package(name, each, suites.get(name, "")) for name, each in found.get(PACKAGES, {}).items()]

    def _taken(self, component: DebComponent | FileComponent, name: str, output: Output) -> str:
        """A file that was not made here: of a package, or beside the recipe."""
        packages = self._packages(component.name) if isinstance(component, DebComponent) else []
        licence = packages[0].licence if packages else ""
        key = self._placed(Kind.FILE, component.name, name, output, component.version, licence)
        for part in packages:
            self._link(key, Relation.GENERATED_FROM, self.add(part))
        return key

    def _published(self, component: UrlComponent | ImageFilesComponent, name: str, output: Output) -> str:
        """A file that somebody else made, and what a program says that it carries."""
        (locked,) = self._facts.lock.of(component.name)
        made_of = self._source(locked, component.version, self._facts.licences(component.name).get(SOURCE, ""))
        key = self._placed(Kind.FILE, component.name, name, output, component.version, made_of.licence)
        self._link(key, Relation.GENERATED_FROM, self.add(made_of))
        programs: Mapping[str, Any] = self._facts.receipts[f"component {component.name}"].facts["programs"]
        for part in published.carried(programs.get(name, {})):
            self._link(key, Relation.DEPENDS_ON, self.add(part))
        return key

    def _go_program(self, component: GoComponent, name: str, output: Output) -> str:
        go: Mapping[str, Any] = self._facts.receipts[f"component {component.name}"].facts["programs"][name]["go"]
        licences: Mapping[str, str] = self._facts.licences(component.name).get(MODULES, {})
        main = self._main_module(component, go, licences)
        crypto = parts.crypto_notes(component, self._facts.recipe, go.get("crypto", ""))
        key = self._placed(Kind.PROGRAM, component.name, name, output, component.version, main.licence, crypto)
        self._link(key, Relation.GENERATED_FROM, self.add(main))
        for part in (parts.standard_library(go["version"]), *_modules(go["modules"], licences)):
            self._link(key, Relation.DEPENDS_ON, self.add(part))
        self._link(self._toolchain(), Relation.BUILD_TOOL_OF, key)
        self._host_tools(component.name, key, static=component.static)
        return key

    def _main_module(self, component: GoComponent, go: Mapping[str, Any], licences: Mapping[str, str]) -> Part:
        """The module that holds the programs; its hash is the lock's, else what the program says (steps.go)."""
        main: str = go["main"]
        path, _, version = main.partition("@")
        (locked,) = self._facts.lock.of(component.name)
        h1 = locked.h1 if locked.h1 and locked.source == f"go:{main}" else go.get("main_h1", "")
        part = parts.module(path, version, h1=h1, licence=licences.get(main, ""))
        return part if part.version else replace(part, version=component.version, purl=purl.golang(path))

    def _c_program(self, component: CompileComponent, name: str, output: Output) -> str:
        (locked,) = self._facts.lock.of(component.name)
        found = self._facts.licences(component.name)
        self.texts.update(found.get(TEXTS, {}))
        made_of = self._source(locked, component.version, found.get(SOURCE, ""))
        key = self._placed(Kind.PROGRAM, component.name, name, output, component.version, made_of.licence)
        self._link(key, Relation.GENERATED_FROM, self.add(made_of))
        self._host_tools(component.name, key, static=component.static)
        return key

    def _source(self, locked: LockedInput, version: str, licence: str) -> Part:
        kind, _, rest = locked.source.partition(":")
        if kind in ("url", "image"):
            return published.source(locked, version, licence, self._facts.platform.architecture)
        if kind != "go-source":
            return parts.source(locked.source, version, licence)
        path, _, version = rest.partition("@")
        return parts.module(path, version, h1=locked.h1 or "", licence=licence)

    def _placed(
        self, kind: Kind, component: str, name: str, output: Output, version: str, licence: str,
        more: tuple[tuple[str, str], ...] = (),
    ) -> str:  # fmt: skip
        paths, digest = self._places.get((component, name), ()), output.digest
        part = parts.placed(
            kind, component, name, version=version, licence=licence, digest=digest, paths=paths, more=more
        )
        return self.add(part)

    def _toolchain(self) -> str:
        go = self._facts.recipe.go or ""
        h1 = next((tool.h1 for tool in self._facts.lock.tools if tool.source == f"go-toolchain:{go}"), "")
        notes = (("go:h1", h1),) if h1 else ()
        return self.add(
            Part(key="tool:go", kind=Kind.TOOL, name="go", version=go, purl=purl.generic("go", go), notes=notes,
                 licence=parts.STDLIB_LICENCE)
        )  # fmt: skip

    def _host_tools(self, component: str, program: str, *, static: bool) -> None:
        """Compilers worked on a program; of libraries' packages the archives are in it."""
        for name, version in self._facts.tools(component).items():
            part = parts.host_package(name, version, self._facts.architecture_of(name))
            if not part.name.endswith(_LINKED):
                self._link(self.add(part), Relation.BUILD_TOOL_OF, program)
            else:
                key = self.add(replace(part, key=f"deb:{part.name}={part.version}", kind=Kind.PACKAGE))
                self._link(program, Relation.STATIC_LINK if static else Relation.DEPENDS_ON, key)


def _modules(modules: Iterable[Mapping[str, str]], licences: Mapping[str, str]) -> Iterator[Part]:
    for each in modules:
        path, version = each["path"], each.get("version", "")
        yield parts.module(
            path,
            version,
            h1=each.get("h1", ""),
            replaces=each.get("replaced", ""),
            licence=licences.get(f"{path}@{version}", ""),
        )


def _places(facts: BuildFacts) -> dict[tuple[str, str], set[str]]:
    """Component and output -> the paths where images hold it."""
    found: dict[tuple[str, str], set[str]] = {}
    images = [facts.recipe.images[name] for names in facts.recipe.archives.values() for name in names]
    for placement in (each for image in images for layer in image.layers for each in layer):
        outputs = facts.receipts[f"component {placement.component}"].outputs if placement.component != CHARTS else {}
        for name in outputs:
            if placement.output in (None, name):
                found.setdefault((placement.component, name), set()).add(str(PurePosixPath(placement.folder) / name))
    return found


def _deb_name(locked: LockedInput) -> str:
    return locked.source.rpartition("/")[2].partition("=")[0]


def _suite(locked: LockedInput) -> str:
    return locked.source.partition(":")[2].partition("/")[0]
