"""What a bundle says of a file in it: component, what it was made from, with digests. Pure but for `read`.

The SBOMs are checked against bundle.json, not against the images: a part counts for a file only when its digest is the
one that was found in the layer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.describe.names import CYCLONEDX_FILE, PROVENANCE_FILE, SPDX_FILE
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.index import BundleIndex
from bundles.locate import Spot
from bundles.source import BundleSource

_MADE = {"GENERATED_FROM": "made from", "STATIC_LINK": "holds", "DEPENDS_ON": "carries", "BUILD_TOOL_OF": "built with"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """The documents of a bundle: parts by key, relations of parts (how, other key), pins by name and by purl.

    `tools`: the C tools by name, as content ids take them. All empty for a bundle without documents.
    """

    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    relations: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    pins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What a file is by the SBOM: `key` there, the recipe's component, the output's name, version, digest.

    `made`: how (`made from`, `holds`, `carries`, `built with`) and what, with its digest where the provenance has one.
    """

    key: str
    component: str
    output: str
    version: str
    made: tuple[tuple[str, str], ...]


def read(source: BundleSource, document: BundleIndex) -> Said:
    """The documents of an open bundle; raises FormatError where they are not what bundle.json lists."""
    cyclone, spdx, provenance = (_read(source, document, name) for name in
                                 (CYCLONEDX_FILE, SPDX_FILE, PROVENANCE_FILE))  # fmt: skip
    parts = {str(each.get("bom-ref")): each for each in cyclone.get("components", ())}
    definition = provenance.get("predicate", {}).get("buildDefinition", {})
    return Said(
        parts=parts,
        relations=_relations(parts, spdx),
        pins=_pins(definition.get("resolvedDependencies", ())),
        tools=definition.get("internalParameters", {}).get("tools", {}),
    )


def part_of(said: Said, spot: Spot) -> Part | None:
    """The part of the SBOM that a file is: by its digest and path; a chart by its name. None for all other files."""
    for key, each in said.parts.items():
        kind, _, name = key.partition(":")
        component, _, output = name.partition("/")
        if kind in ("program", "file") and _digest(each) == spot.sha256.hex and f"/{spot.name}" in _paths(each):
            return _part(said, key, component, output)
        if kind == "chart" and spot.name.endswith(f"/{name}.yaml"):
            return _part(said, key, "charts", f"{name}.yaml")
    return None


def _part(said: Said, key: str, component: str, output: str) -> Part:
    made = [(how, _pinned(said, other)) for how, other in said.relations.get(key, ())]
    order = list(_MADE.values())
    return Part(
        key=key,
        component=component,
        output=output,
        version=str(said.parts[key].get("version", "")),
        made=tuple(sorted(made, key=lambda row: (order.index(row[0]), row[1]))),
    )


def _pinned(said: Said, key: str) -> str:
    """A part in words, with the digests under which the provenance lists it."""
    part = said.parts.get(key, {})
    _, _, name = key.partition(":")
    digests = said.pins.get(key) or said.pins.get(name) or said.pins.get(str(part.get("purl"))) or ()
    h1 = next((each["value"] for each in part.get("properties", ()) if each.get("name") == "sealift:go:h1"), "")
    version = str(part.get("version", ""))
    label = key if version in key else f"{key} {version}"
    return " ".join([label, *(digests or ([h1] if h1 else []))])


def _relations(parts: Mapping[str, Any], spdx: Mapping[str, Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    """SPDX tells how; its packages stand in the order of CycloneDX's components, after the bundle itself."""
    packages = list(spdx.get("packages", ()))[1:]
    if [each.get("name") for each in packages] != [each.get("name") for each in parts.values()]:
        return {}
    keys = {each["SPDXID"]: key for each, key in zip(packages, parts, strict=True)}
    found: dict[str, list[tuple[str, str]]] = {}
    for each in spdx.get("relationships", ()):
        how = str(each.get("relationshipType"))
        one, two = keys.get(each.get("spdxElementId")), keys.get(each.get("relatedSpdxElement"))
        if how in _MADE and one and two:
            subject, other = (two, one) if how == "BUILD_TOOL_OF" else (one, two)
            found.setdefault(subject, []).append((_MADE[how], other))
    return {key: tuple(rows) for key, rows in found.items()}


def _pins(dependencies: Any) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for each in dependencies:
        digests = [f"{kind}:{value}" for kind, value in each.get("digest", {}).items()]
        for name in {each.get("name"), each.get("uri")} - {None}:
            found.setdefault(name, []).extend(digests)
    return {name: tuple(digests) for name, digests in found.items()}


def _paths(part: Mapping[str, Any]) -> Iterator[str]:
    return (each["value"] for each in part.get("properties", ()) if each.get("name") == "sealift:path")


def _digest(part: Mapping[str, Any]) -> str:
    return next((str(each.get("content")) for each in part.get("hashes", ()) if each.get("alg") == "SHA-256"), "")


def _read(source: BundleSource, document: BundleIndex, name: str) -> dict[str, Any]:
    """One document, held against bundle.json; empty when the bundle has none."""
    listed = next((each for each in document.files if each.path == name), None)
    if listed is None:
        return {}
    with source.open(name) as region:
        if region.size != listed.size or region.size > jsontext.MAX_DOCUMENT:
            want = f"{listed.size} bytes, at most {jsontext.MAX_DOCUMENT}"
            raise LimitError("a document of another size", where=region.where, got=f"{region.size} bytes", want=want)
        data, where = region.read(0, region.size), region.where
    if Digest.of(data) != listed.sha256:
        raise FormatError("a damaged file", where=where, got=Digest.of(data), want=listed.sha256)
    plain = jsontext.decode_plain(data, where=where)
    if not isinstance(plain, dict):
        raise FormatError("not a JSON object", where=where)
    return plain
