"""What a bundle ships, from its CycloneDX bill of materials, and which source stands behind each thing. Pure."""

from dataclasses import dataclass
from typing import Final

import msgspec

from builder.copyleft.asks import verdict
from bundles import jsontext
from bundles.errors import FormatError

_PUBLISHED: Final = "an image as somebody published it: nobody here knows what is in it"
_MAX: Final = 64 << 20  # bytes of a bill; that of the default recipe has half a MiB


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipped:
    """One shipped thing: `key` as in the bill; whether its source is `asked` for, and `why`.

    `source` is where that is: `go:PATH@VERSION`, `deb-source:NAME=VERSION`, `deb:NAME=VERSION` (of a package whose
    source package is not named), `recipe:` for what lies beside the recipe; "" when nobody can say. `h1` is go's hash.
    """

    key: str
    licence: str
    asked: bool
    why: str
    source: str = ""
    h1: str = ""


class _Id(msgspec.Struct, frozen=True, kw_only=True):
    """A licence's id."""

    id: str = ""


class _Licence(msgspec.Struct, frozen=True, kw_only=True):
    """An expression, or one licence."""

    expression: str = ""
    license: _Id = msgspec.field(default_factory=_Id)


class _Property(msgspec.Struct, frozen=True, kw_only=True):
    """A note of ours."""

    name: str
    value: str = ""


class _Component(msgspec.Struct, frozen=True, kw_only=True):
    """A part."""

    ref: str = msgspec.field(name="bom-ref")
    licenses: list[_Licence] = msgspec.field(default_factory=list)
    properties: list[_Property] = msgspec.field(default_factory=list)


class _Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a part is made of."""

    ref: str
    dependsOn: list[str] = msgspec.field(default_factory=list)


class _Bill(msgspec.Struct, frozen=True, kw_only=True):
    """The bill."""

    components: list[_Component]
    dependencies: list[_Needs] = msgspec.field(default_factory=list)


def shipped(bill: bytes, where: object) -> tuple[Shipped, ...]:
    """sbom.cdx.json -> what is shipped, by key: modules, packages, sources, charts, files taken as they are.

    Images and programs are made of those, but for images that somebody else published, of which nobody knows what is
    in them; tools are not shipped. Raises FormatError.
    """
    document = jsontext.decode(bill, _Bill, where=where, max_size=_MAX)
    found = {each.ref: one for each in document.components if (one := _shipped(each, where)) is not None}
    for each in document.dependencies:  # a file of a package: its source is the package's
        if each.ref.startswith("file:") and any(one.startswith("deb:") for one in each.dependsOn):
            found.pop(each.ref, None)
    opaque = {each.ref for each in document.dependencies if not each.dependsOn and each.ref.startswith("image:")}
    found |= {ref: Shipped(key=ref, licence="", asked=True, why=_PUBLISHED) for ref in opaque}
    return tuple(one for _, one in sorted(found.items()))


def _shipped(each: _Component, where: object) -> Shipped | None:
    kind, colon, rest = each.ref.partition(":")
    if not colon or not each.ref.isprintable():
        raise FormatError("not a part of a Sealift bill", where=where, got=repr(each.ref[:200]))
    notes = {one.name.removeprefix("sealift:"): one.value for one in each.properties}
    licence = next((one.expression or one.license.id for one in each.licenses), "")
    maker = _MAKERS.get(kind)
    return maker(each.ref, rest, licence, notes) if maker is not None else None


def _module(key: str, rest: str, licence: str, notes: dict[str, str]) -> Shipped:
    module = rest.partition(" for ")[0]
    found = verdict(licence)
    path, _, version = module.partition("@")
    if path == "stdlib":
        return Shipped(key=key, licence=licence, asked=found.asked, why=found.why)
    source = f"go:{module}" if version.startswith("v") and "(by a folder)" not in rest else "recipe:"
    return Shipped(key=key, licence=licence, asked=found.asked, why=found.why, source=source, h1=notes.get("go:h1", ""))


def _package(key: str, rest: str, licence: str, notes: dict[str, str]) -> Shipped:
    source = notes.get("deb:source", "")
    why = "the source of every Debian package goes with it" + (f" ({licence})" if licence else "")
    where = f"deb-source:{source}" if source else f"deb:{rest}"
    return Shipped(key=key, licence=licence, asked=True, why=why, source=where)


def _source(key: str, rest: str, licence: str, notes: dict[str, str]) -> Shipped:
    found = verdict(licence)
    kind, _, below = rest.partition(":")
    if kind == "deb-source":
        why = "compiled from it" + (f" ({licence})" if licence else "")
        return Shipped(key=key, licence=licence, asked=True, why=why, source=f"deb-source:{below.rpartition('/')[2]}")
    local = kind in ("folder", "file")
    return Shipped(key=key, licence=licence, asked=found.asked, why=found.why, source="recipe:" if local else rest)


def _chart(key: str, rest: str, licence: str, notes: dict[str, str]) -> Shipped:
    return Shipped(key=key, licence=licence, asked=False, why="a chart is shipped as its source")


def _file(key: str, rest: str, licence: str, notes: dict[str, str]) -> Shipped:
    found = verdict(licence)
    return Shipped(
        key=key, licence=licence, asked=found.asked, why=found.why, source=f"component:{notes.get('component', '')}"
    )


_MAKERS: Final = {
    "go": _module,
    "deb": _package,
    "source": _source,
    "chart": _chart,
    "file": _file,
}
