"""What a bundle's SBOM lists: programs, Go modules, Debian packages, charts, with versions and licences.

The file is checked against bundle.json, not against the images: who made the bundle says so.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from bundles import index, jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError, printable
from bundles.index import BundleIndex
from bundles.source import BundleSource, open_source

SBOM: Final = "sbom.cdx.json"
MAX_SBOM: Final = jsontext.MAX_DOCUMENT  # bytes; the default bundle's has 350 kB


def packages(path: Path) -> list[dict[str, str]]:
    """A bundle (folder or `.sealift` file) -> its packages by kind, name and version.

    Keys: `kind` (image, program, file, go, deb, source, chart, tool), `name`, `version`, `licence` (SPDX expression),
    `purl`; a text that nobody says is empty. Raises MissingError for a bundle without SBOM, FormatError.
    """
    with open_source(path) as source:
        data, _ = source.envelope()
        document = index.decode(data, where=f"{source.where}: {index.INDEX_NAME}")
        found = listed(source, document)
    if found is None:
        hint = "bundles have one since sealift 0.1.0: build it again"
        raise MissingError("this bundle has no SBOM", where=path, want=SBOM, hint=hint)
    return found


def listed(source: BundleSource, document: BundleIndex) -> list[dict[str, str]] | None:
    """The same of an open bundle; None when its index lists no SBOM."""
    found = _components(source, document)
    if found is None:
        return None
    return sorted(
        map(_row, found), key=lambda row: (row["kind"], row["name"], row["version"], row["purl"], row["licence"])
    )


def crypto(source: BundleSource, document: BundleIndex) -> list[dict[str, str]]:
    """The Go programs of an open bundle with their crypto, as it was found in their bytes when they were made.

    Keys: `program`, `crypto` (`boringcrypto`, `go-native`, `off`; `none` where a program holds none), `because` (why it
    is not the bundle's). Empty for a bundle that asks for none. Raises FormatError for a damaged SBOM.
    """
    rows = []
    for each in _components(source, document) or ():
        listed = each.get("properties")
        properties = {_text(one, "name"): _text(one, "value") for one in listed if isinstance(one, dict)} if (
            isinstance(listed, list)) else {}  # fmt: skip
        if mode := properties.get("sealift:go:crypto", ""):
            because = properties.get("sealift:go:crypto-because", "")
            rows.append({"program": _text(each, "name"), "crypto": mode, "because": because})
    return sorted(rows, key=lambda row: (row["crypto"], row["program"]))


def _components(source: BundleSource, document: BundleIndex) -> list[dict[str, Any]] | None:
    file = next((each for each in document.files if each.path == SBOM), None)
    if file is None:
        return None
    source.files()  # a packed bundle finds its members so
    with source.open(SBOM) as region:
        if region.size > MAX_SBOM:
            raise LimitError("SBOM too large", where=region.where, got=f"{region.size} bytes", want=f"<= {MAX_SBOM}")
        data, where = region.read(0, region.size), region.where
    if Digest.of(data) != file.sha256:
        raise FormatError("a damaged file", where=where, got=Digest.of(data), want=file.sha256)
    plain = jsontext.decode_plain(data, where=where)
    components = plain.get("components", []) if isinstance(plain, dict) else None
    if not isinstance(components, list) or not all(isinstance(each, dict) for each in components):
        raise FormatError("not a CycloneDX document", where=where)
    return components


def versions(rows: Iterable[dict[str, str]]) -> dict[str, str]:
    """Rows -> `KIND NAME` -> all its versions, to compare two bundles. Pure."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["kind"] in ("program", "go", "deb"):
            found.setdefault(f"{row['kind']} {row['name']}", []).append(row["version"])
    return {name: ", ".join(dict.fromkeys(every)) for name, every in found.items()}


def render(rows: Sequence[dict[str, str]]) -> str:
    """Rows -> a table for people, without a last newline."""
    columns = ("kind", "name", "version", "licence")
    widths = {name: max((len(printable(row[name])) for row in rows), default=0) for name in columns[:-1]}
    lines = []
    for row in rows:
        cells = [f"{printable(row[name]):{widths[name]}}" for name in widths]
        lines.append("  ".join([*cells, printable(row["licence"]) or "-"]))
    return "\n".join(lines)


def _row(component: dict[str, Any]) -> dict[str, str]:
    return {
        "kind": _text(component, "bom-ref").partition(":")[0],
        "name": _text(component, "name"),
        "version": _text(component, "version"),
        "licence": _licence(component.get("licenses")),
        "purl": _text(component, "purl"),
    }


def _licence(choices: object) -> str:
    """CycloneDX: one expression, or ids."""
    found = []
    for each in choices if isinstance(choices, list) else []:
        if isinstance(each, dict):
            named = each.get("license")
            found.append(_text(each, "expression") or (_text(named, "id") if isinstance(named, dict) else ""))
    return " AND ".join(filter(None, found))


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key, "")
    return value if isinstance(value, str) else ""
