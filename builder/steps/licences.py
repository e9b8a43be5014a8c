"""Licences of what a component is made of, read where its sources are at hand, kept as facts for the documents.

A step of its own: the component's receipt stays what it is, nothing is compiled again for it, and a change of the
texts that are known reads licences again and nothing else.
"""

import functools
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from builder.describe import debcopyright
from builder.describe.debcopyright import Declared
from builder.describe.licences import MAX_TEXT, combined, is_licence_file, recognised
from builder.describe.licencetexts import BODIES, READ
from builder.describe.receipts import MODULES, PACKAGES, SOURCE, TEXTS, licences_name
from builder.errors import StepError
from builder.lock.model import LockedInput
from builder.plan.model import Receipt, Step
from builder.recipe.fetched import UrlComponent
from builder.recipe.model import Chart, CompileComponent, Component, GoComponent, UserlandComponent
from builder.recipe.places import beside
from builder.sources.goclient import module_folder
from builder.sources.gomod import Module
from builder.steps.context import Job, StepContext
from builder.steps.debfile import DebFile, unpacked
from builder.steps.url import licence
from builder.steps.userland import STATUS
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError

VERSION: Final = 1
_MAX_DATA: Final = 256 << 20  # bytes of an unpacked debian.tar
_DAMAGE: Final = (tarfile.TarError, ValueError, KeyError, EOFError, OverflowError)
_CHART_LICENCE: Final = "artifacthub.io/license"


def describe(component: Component, locked: Sequence[LockedInput]) -> Job | None:
    """Component and its locked inputs -> its job; None for kinds that say nothing of licences. Pure."""
    if isinstance(component, GoComponent):
        run = functools.partial(_of_modules, component)
    elif isinstance(component, UserlandComponent):
        run = functools.partial(_of_userland, component.name)
    elif isinstance(component, UrlComponent):
        if not component.files:
            return None
        run = functools.partial(_of_url, locked[0])
    elif isinstance(component, CompileComponent):
        run = functools.partial(_of_source, locked[0])
    elif component.outputs and locked[0].source.startswith("deb:"):
        run = functools.partial(_of_package, locked[0])
    else:
        return None
    return Job(step=_step(licences_name(component.name), f"component {component.name}"), run=run)


def describe_chart(chart: Chart) -> Job:
    """Chart -> its job; what it says of itself in Chart.yaml, or its LICENSE file. Pure."""
    name = f"chart {chart.name}"
    return Job(step=_step(licences_name(name), name), run=functools.partial(_of_chart, name))


def _step(name: str, need: str) -> Step:
    # The need's content id covers sources and versions; the rest is which texts we know.
    known = Digest.of(jsontext.encode_canonical({"bodies": BODIES, "read": READ}))
    return Step(name=name, kind="licences", version=VERSION, description={"known": str(known)}, needs=(need,))


def _of_modules(component: GoComponent, context: StepContext) -> Receipt:
    """Every module that the programs carry, by the licence files at its root."""
    programs = context.needed[f"component {component.name}"].facts["programs"].values()
    modules = {(each["path"], each.get("version", "")) for one in programs for each in one["go"]["modules"]}
    modules |= {tuple(one["go"]["main"].partition("@")[::2]) for one in programs}
    found: dict[str, str] = {}
    for path, version in sorted(modules):
        if path.startswith((".", "/")):
            continue  # replaced by a folder
        if version == "(devel)":
            folder = beside(context.recipe, component.folder) if component.folder is not None else None
        else:
            folder = module_folder(context.store, Module(path=path, version=version))
        if folder is not None:
            found[f"{path}@{version}"] = _of_folder(folder)
    return Receipt(outputs={}, facts={MODULES: {name: licence for name, licence in found.items() if licence}})


def _of_source(locked: LockedInput, context: StepContext) -> Receipt:
    kind, _, rest = locked.source.partition(":")
    if kind == "url":
        return _of_url(locked, context)
    if kind == "deb-source":
        return _source(_of_debian_source(locked, context))
    folder = beside(context.recipe, rest) if kind == "folder" else module_folder(context.store, Module.parse(rest))
    return _source(Declared(expression=_of_folder(folder)))


def _of_url(locked: LockedInput, context: StepContext) -> Receipt:
    return _source(Declared(expression=licence(locked.source.partition(":")[2], locked, context.store)))


def _source(declared: Declared) -> Receipt:
    return Receipt(outputs={}, facts={SOURCE: declared.expression, TEXTS: dict(declared.texts)})


def _of_folder(folder: Path) -> str:
    """The licence files at a folder's root -> one expression."""
    if not folder.is_dir():
        raise StepError("the source is not in the store", where=folder, hint="run `sealift build` again")
    names = sorted(path.name for path in folder.iterdir() if is_licence_file(path.name) and path.is_file())
    texts = []
    for name in names:
        with (folder / name).open("rb") as file:
            texts.append(file.read(MAX_TEXT + 1).decode("utf-8", "replace"))
    return combined(recognised(text) for text in texts)


def _of_debian_source(locked: LockedInput, context: StepContext) -> Declared:
    """debian/copyright of a source package (format 3.0: in its .debian.tar)."""
    for file in locked.files:
        if ".debian.tar" not in file.name:
            continue
        data = unpacked(file.name, context.store.read(file.digest), locked.source, _MAX_DATA)
        text = _member(data, "r:", "debian/copyright", locked.source)
        return debcopyright.declared(text, _name(locked.source)) if text else Declared()
    return Declared()


def _of_package(locked: LockedInput, context: StepContext) -> Receipt:
    """A binary package, of which the component takes files."""
    (file,) = locked.files
    package = DebFile(context.store.read(file.digest), where=file.name)
    name = _name(locked.source)
    notice = f"usr/share/doc/{name}/copyright"
    text = package.file(notice)[0].decode("utf-8", "replace") if package.entry(notice) is not None else ""
    return _packages({name: package.control()}, {name: text})


def _of_userland(component: str, context: StepContext) -> Receipt:
    """The packages of a userland, from the records that lie among its files."""
    outputs = context.needed[f"component {component}"].outputs
    texts = {
        path: context.store.read(output.digest).decode("utf-8", "replace")
        for path, output in outputs.items()
        if path.startswith((f"{STATUS}/", "usr/share/doc/"))
    }
    controls = {path.rpartition("/")[2]: text for path, text in texts.items() if path.startswith(STATUS)}
    return _packages(controls, {name: texts.get(f"usr/share/doc/{name}/copyright", "") for name in controls})


def _packages(controls: Mapping[str, str], notices: Mapping[str, str]) -> Receipt:
    """Control records and copyright files by package -> facts."""
    packages: dict[str, dict[str, str]] = {}
    texts: dict[str, str] = {}
    for name, control in sorted(controls.items()):
        source, _, version = _field(control, "Source").partition(" ")
        found = debcopyright.declared(notices.get(name, ""), source or name)
        texts |= found.texts
        packages[name] = {
            "version": _field(control, "Version"),
            "source": source or name,
            "source_version": version.strip("()") or _field(control, "Version"),
            "architecture": _field(control, "Architecture"),
            "licence": found.expression,
        }
    _share(packages)
    return Receipt(outputs={}, facts={PACKAGES: packages, TEXTS: dict(sorted(texts.items()))})


def _share(packages: Mapping[str, dict[str, str]]) -> None:
    """A package that shares the notice of another one of its source has that one's licence."""
    known = {(each["source"], each["source_version"]): each["licence"] for each in packages.values() if each["licence"]}
    for each in packages.values():
        each["licence"] = each["licence"] or known.get((each["source"], each["source_version"]), "")


def _field(control: str, name: str) -> str:
    return next((line.partition(":")[2].strip() for line in control.splitlines() if line.startswith(f"{name}:")), "")


def _of_chart(name: str, context: StepContext) -> Receipt:
    packaged = context.needed[name]
    data = context.store.read(packaged.outputs[packaged.facts["archive"]].digest)
    folder = packaged.facts["name"]
    described = yaml.load(_member(data, "r:gz", f"{folder}/Chart.yaml", name), yaml.CSafeLoader)
    annotations: Any = (described.get("annotations") if isinstance(described, dict) else None) or {}
    said = annotations.get(_CHART_LICENCE) if isinstance(annotations, dict) else None
    text = _member(data, "r:gz", f"{folder}/LICENSE", name)
    return _source(Declared(expression=said if isinstance(said, str) and said in BODIES else recognised(text)))


def _member(data: bytes, mode: str, path: str, where: object) -> str:
    """A regular file of a tar in memory as text, bounded; empty when there is none."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode=mode) as archive:  # type: ignore[call-overload] # a mode
            for member in archive:
                if member.name.removeprefix("./") == path and member.isreg():
                    file = archive.extractfile(member)
                    return file.read(MAX_TEXT).decode("utf-8", "replace") if file is not None else ""
    except _DAMAGE as exc:
        raise FormatError(f"malformed archive: {exc}", where=where) from exc
    return ""


def _name(source: str) -> str:
    """`deb-source:bookworm/socat=1.7.4.4-2` -> `socat`."""
    return source.rpartition("/")[2].partition("=")[0].rpartition(":")[2]
