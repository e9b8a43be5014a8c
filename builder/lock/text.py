"""lock.yaml <-> the lock. Written by `sealift lock`, reviewed like code, read as strictly as a recipe.

One line per input where that fits, sorted by component: a version bump touches one group. `parse_lock(format_lock(x))`
is `x`, and formatting is a function of the values alone.
"""

import itertools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from builder.errors import RecipeError
from builder.lock import imagesources, imagetext
from builder.lock.model import FORMAT, Lock, LockedChart, LockedFile, LockedInput, LockedSum, LockedTool
from builder.recipe import read as recipe_files
from builder.recipe import words
from builder.recipe.chartfile import VERSION
from builder.recipe.document import read
from builder.recipe.keys import BUNDLE_VERSION, NAME
from builder.recipe.kinds import Field, Items, Number, Record, Text
from builder.recipe.yamlnodes import surprise
from bundles import ustar
from bundles.digest import Digest
from bundles.errors import FormatError, ProblemsError

HEADER = "# Written by `sealift lock`. Review it like code; do not edit it.\n"
_GROUPS = ("buildroot", "inputs")
_PINS = {
    "go": {"h1", "sum"},
    "go-source": {"h1"},
    "deb": {"files"},
    "deb-source": {"files"},
    "folder": {"sha256"},
    "file": {"sha256"},
    "url": {"files"},
    "image": {"files"},
}
_PLAIN = re.compile(r"[A-Za-z0-9_./](?:[A-Za-z0-9_./@=+~-]|:(?=[A-Za-z0-9./+]))*")

_HEX = Text(what="64 lower-case hex digits", pattern=r"[0-9a-f]{64}")
_H1 = Text(what="a Go directory hash", pattern=r"h1:[A-Za-z0-9+/]{43}=")


def _seen(text: str) -> str:
    """A lock is reviewed by eye: nothing in it may hide or turn what stands beside it."""
    if not text.isprintable():
        raise FormatError("characters that cannot be seen", got=ascii(text[:80]))
    return text


_STEP = r"(?!\.\.?(?:[/@]|$))[A-Za-z0-9._~+-]+"
_MODULE = rf"{_STEP}(?:/{_STEP})*@v[A-Za-z0-9.+-]+"
_DEB = r"[a-z0-9][A-Za-z0-9._/-]*/[a-z0-9][a-z0-9.+-]+(?::[a-z0-9]+)?=[A-Za-z0-9.+:~-]+"
_LOCAL = r"(?:\./)?(?!\.\.?(?:/|$))[A-Za-z0-9_.][A-Za-z0-9._+~@-]*(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._+~@-]+)*"
_IMAGE = r"[a-zA-Z0-9][A-Za-z0-9._:/@-]*#[a-z0-9]+(?:/[a-z0-9]+){1,2}"
# No registry of packages is named: where they come from is the machine's own configuration.
_SOURCE = Text(
    what="a source",
    pattern=rf"(?:go|go-source):{_MODULE}|(?:deb|deb-source):{_DEB}|(?:folder|file):{_LOCAL}|url:{words.URL}|image:{_IMAGE}",
    example="go:example.org/lib@v1.2.3",
)
_TOOLCHAIN = Text(what="a toolchain", pattern=r"go-toolchain:1\.[0-9]+\.[0-9]+", example="go-toolchain:1.26.8")
_BUNDLE = Text(what="NAME@VERSION", pattern=rf"{NAME.pattern}@{BUNDLE_VERSION.pattern}")
_WORD = Text(what="a text", parse=_seen)
# Debian policy 5.6.12 and the names of pools: what is written into a folder is no path.
_FILE_NAME = Text(what="a file name", pattern=r"[A-Za-z0-9][A-Za-z0-9.+~:_%-]*")
_CHART_VERSION = Text(what="a chart's version", pattern=VERSION.pattern)
_CHART_SOURCE = Text(
    what="a chart's source", pattern=rf"(?:tgz|repo):{words.URL}(?:#[a-z0-9-]+)?|oci:[A-Za-z0-9._:/@-]+"
)
_PATH = Text(what="a relative path", pattern=r"(?!.*(?:^|/)\.\.?(?:/|$))[A-Za-z0-9_.][A-Za-z0-9._+~/@-]*")
_FILE = Record(
    doc="One file to fetch.",
    fields={
        "name": Field(kind=_FILE_NAME, doc="Its name.", required=True),
        "size": Field(kind=Number(), doc="Bytes.", required=True),
        "sha256": Field(kind=_HEX, doc="Its digest.", required=True),
    },
)
_SUM = Record(
    doc="The go.mod and go.sum that pin the modules.",
    fields={
        "folder": Field(kind=_PATH, doc="Relative to the recipe.", required=True),
        "sha256": Field(kind=_HEX, doc="Of go.mod, go.sum and tools.go.", required=True),
        "modules": Field(kind=Number(), doc="How many.", required=True),
        "unverified": Field(kind=Items(of=_WORD), doc="Unknown to the checksum database."),
    },
)
_INPUT = Record(
    doc="What one component is made of.",
    fields={
        "component": Field(kind=NAME, doc="Its name.", required=True),
        "source": Field(kind=_SOURCE, doc="Where from.", required=True),
        "license": Field(kind=_WORD, doc="SPDX expression."),
        "h1": Field(kind=_H1, doc="Go's hash of the module."),
        "sha256": Field(kind=_HEX, doc="Digest of a file or folder."),
        "sum": Field(kind=_SUM, doc=_SUM.doc),
        "files": Field(kind=Items(of=_FILE), doc="The files of a package."),
        "signed": Field(kind=_HEX, doc="Id of the key whose signature held when it was locked."),
    },
)
_TOOL = Record(
    doc="A toolchain.",
    fields={
        "source": Field(kind=_TOOLCHAIN, doc="Which.", required=True),
        "h1": Field(kind=_H1, doc="Go's hash of it.", required=True),
        "size": Field(kind=Number(), doc="Bytes of its zip.", required=True),
    },
)
_CHART = Record(
    doc="A chart.",
    fields={
        "name": Field(kind=NAME, doc="Its key in charts.yaml.", required=True),
        "version": Field(kind=_CHART_VERSION, doc="Of its Chart.yaml.", required=True),
        "sha256": Field(kind=_HEX, doc="Digest of its folder, or of its package.", required=True),
        "source": Field(kind=_CHART_SOURCE, doc="Where its package comes from."),
        "url": Field(kind=Text(what="a URL", pattern=words.URL), doc="Where the repository has it."),
        "size": Field(kind=Number(), doc="Bytes of its package."),
    },
)
LOCK_RECORD = Record(
    doc="A lock.",
    fields={
        "sealift-lock": Field(kind=Number(least=FORMAT, most=FORMAT), doc="Version of the format.", required=True),
        "recipe": Field(
            kind=Text(what="a digest", pattern=r"sha256:[0-9a-f]{64}"), doc="Of the parsed recipe.", required=True
        ),
        "bundle": Field(kind=_BUNDLE, doc="Which bundle.", required=True),
        "epoch": Field(kind=Number(most=ustar.MAX_SIZE), doc="Seconds: the time of everything built.", required=True),
        "tools": Field(kind=Items(of=_TOOL, unique=False), doc="Toolchains.", required=True),
        "buildroot": Field(kind=Items(of=_INPUT, unique=False), doc="Packages of the build root.", required=True),
        "inputs": Field(kind=Items(of=_INPUT, unique=False), doc="Sources.", required=True),
        "charts": Field(kind=Items(of=_CHART, unique=False), doc="Charts.", required=True),
        "images": imagetext.IMAGES_FIELD,
        "image-sources": imagesources.FIELD,
    },
)


def read_lock(folder: Path) -> Lock:
    """The lock beside a recipe. Raises RecipeError when there is none, ProblemsError when it is wrong."""
    path = folder / recipe_files.LOCK
    if not path.is_file():
        raise RecipeError("no lock", where=path, hint=f"run: sealift lock {folder}")
    return parse_lock(recipe_files.read_limited(path), str(path))


def parse_lock(text: str | bytes, where: str = recipe_files.LOCK) -> Lock:
    """Text and its name for messages -> the lock; raises ProblemsError with all problems."""
    document = read(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), where, LOCK_RECORD)
    if not document.problems:
        _check_order(document.values, document.problem)
        _check_pins(document.values, document.problem)
        imagetext.check_order(document.values.get("images", ()), document.problem)
        imagesources.check_order(document.values.get("image-sources", ()), document.problem)
    if document.problems:
        raise ProblemsError(where, document.problems)
    values = document.values
    return Lock(
        recipe=Digest.parse(values["recipe"]),
        bundle=values["bundle"],
        epoch=values["epoch"],
        tools=tuple(LockedTool(**tool) for tool in values["tools"]),
        buildroot=tuple(map(_input, values["buildroot"])),
        inputs=tuple(map(_input, values["inputs"])),
        charts=tuple(LockedChart(**_digest_of(chart)) for chart in values["charts"]),
        images=tuple(map(imagetext.make_image, values.get("images", ()))),
        image_sources=tuple(map(imagesources.make, values.get("image-sources", ()))),
    )


def format_lock(lock: Lock) -> str:
    """Lock -> the text of lock.yaml; the order of inputs, tools and charts in the value does not count."""
    lines = [f"sealift-lock: {FORMAT}", f"recipe: {lock.recipe}", f"bundle: {lock.bundle}", f"epoch: {lock.epoch}"]
    lines += _list("tools", [_flow(_tool_values(tool)) for tool in sorted(lock.tools, key=lambda tool: tool.source)])
    for name, inputs in (("buildroot", lock.buildroot), ("inputs", lock.inputs)):
        lines += _list(name, [_block(_input_values(each)) for each in sorted(inputs, key=input_order)])
    charts = sorted(lock.charts, key=lambda chart: chart.name)
    lines += _list("charts", [_flow(_chart_values(chart)) for chart in charts])
    if lock.images:  # a lock without any keeps the text, and so the digest, that it always had
        taken = imagetext.sorted_images(lock.images)
        lines += _list("images", [_block(imagetext.image_values(each)) for each in taken])
    if lock.image_sources:
        sources = imagesources.in_order(lock.image_sources)
        lines += _list("image-sources", [_block(imagesources.plain(each)) for each in sources])
    return HEADER + "\n".join(lines) + "\n"


def _check_order(values: Mapping[str, Any], problem: Callable[[tuple[str, ...], str, str], None]) -> None:
    """A lock has one text: entries out of order or twice were not written by us."""
    for name, key in (("tools", _tool_key), ("charts", _chart_key), *((group, _input_key) for group in _GROUPS)):
        keys = [key(entry) for entry in values[name]]
        for number, (one, two) in enumerate(itertools.pairwise(keys), start=1):
            if two <= one:
                what = "stands twice" if two == one else "is out of order"
                problem((name, str(number)), f"{' '.join(two)} {what}", "run sealift lock again")


def _check_pins(values: Mapping[str, Any], problem: Callable[[tuple[str, ...], str, str], None]) -> None:
    """A source without the digest of its kind would be taken as it comes (see LockedInput)."""
    for name in _GROUPS:
        for number, entry in enumerate(values[name]):
            kind = entry["source"].partition(":")[0]
            for key in sorted(_PINS[kind] - {key for key in entry if entry[key]}):
                problem((name, str(number), key), f"{entry['source']} is not pinned by {key}", "run sealift lock again")
            if kind in ("deb", "url") and len(entry.get("files", ())) > 1:
                problem((name, str(number), "files"), "it is one file", "run sealift lock again")


def _tool_key(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return (entry["source"],)


def _chart_key(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return (entry["name"],)


def _input_key(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """One package may be there for several platforms, as files of different names."""
    files = entry.get("files", ())
    more = (files[0]["name"],) if files and entry["source"].startswith("deb:") else ()
    return entry["component"], entry["source"], *more


def _input(values: dict[str, Any]) -> LockedInput:
    fields = _digest_of(values)
    if "signed" in values:
        fields["signed"] = Digest(values["signed"])
    fields["files"] = tuple(LockedFile(**_digest_of(file)) for file in values.get("files", ()))
    if locked := values.get("sum"):
        fields["sum"] = LockedSum(**_digest_of(locked) | {"unverified": tuple(locked.get("unverified", ()))})
    return LockedInput(**fields)


def _digest_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values with `sha256: hex` as `digest`."""
    fields = {name: value for name, value in values.items() if name != "sha256"}
    return fields | ({"digest": Digest(values["sha256"])} if "sha256" in values else {})


def input_order(each: LockedInput) -> tuple[str, ...]:
    """The key by which a lock's inputs are sorted; see `_input_key`."""
    more = (each.files[0].name,) if each.files and each.source.startswith("deb:") else ()
    return each.component, each.source, *more


def _tool_values(tool: LockedTool) -> dict[str, Any]:
    return {"source": tool.source, "h1": tool.h1, "size": tool.size}


def _chart_values(chart: LockedChart) -> dict[str, Any]:
    values: dict[str, Any] = {"name": chart.name, "version": chart.version, "sha256": chart.digest.hex}
    values |= {"source": chart.source, "size": chart.size} if chart.source else {}
    return values | ({"url": chart.url} if chart.url else {})


def _input_values(each: LockedInput) -> dict[str, Any]:
    values: dict[str, Any] = {"component": each.component, "source": each.source}
    values |= {"license": each.license} if each.license else {}
    values |= {"h1": each.h1} if each.h1 else {}
    values |= {"sha256": each.digest.hex} if each.digest else {}
    if each.sum:
        values["sum"] = {"folder": each.sum.folder, "sha256": each.sum.digest.hex, "modules": each.sum.modules}
        values["sum"] |= {"unverified": list(each.sum.unverified)} if each.sum.unverified else {}
    values |= {"signed": each.signed.hex} if each.signed else {}
    if each.files:
        values["files"] = [{"name": f.name, "size": f.size, "sha256": f.digest.hex} for f in each.files]
    return values


def _list(name: str, entries: list[str]) -> list[str]:
    return [f"{name}:", *entries] if entries else [f"{name}: []"]


def _flow(values: Any) -> str:
    return f"- {_inline(values)}"


def _block(values: Mapping[str, Any]) -> str:
    """One entry: `key: value` lines; the items of a list of files one below the other."""
    lines = []
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines += [f"{key}:", *(_flow(item) for item in value)]
        else:
            lines.append(f"{key}: {_inline(value)}")
    return "- " + "\n  ".join(lines)


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_inline(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return str(value) if isinstance(value, int) else _word(value)


def _word(text: str) -> str:
    """A text, in quotes unless every YAML reader takes it for the same text inside { }."""
    if _PLAIN.fullmatch(text) and not surprise(text):
        return text
    # JSON's escapes are YAML's; only texts that pass the strict reader matter, and those have no control characters.
    return json.dumps(text, ensure_ascii=False)
