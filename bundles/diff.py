"""What changed between two bundles, and how much of the new one is new: by digest, never by name.

Frames have no digests in the index; a frame counts as carried over when its blob is not new. A delta that carries
single frames can do better than `new_bytes` says.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bundles import index
from bundles.digest import Digest
from bundles.errors import printable
from bundles.index import BundleIndex
from bundles.packages import listed, versions
from bundles.source import open_source
from bundles.talk import human_bytes

_FIELDS = ("name", "version", "flavour", "sequence", "created", "expires", "platform")


def diff(old: Path, new: Path) -> dict[str, Any]:
    """Two bundles (folders or `.sealift` files) -> JSON-able values; raises MissingError, FormatError."""
    (before, had), (after, has) = _read(old), _read(new)
    return compare(before, after) | {"packages": _changes(versions(had), versions(has))}


def _read(path: Path) -> tuple[BundleIndex, list[dict[str, str]]]:
    """The index, and the SBOM's packages; none of a bundle without SBOM."""
    with open_source(path) as source:
        data, _ = source.envelope()
        document = index.decode(data, where=f"{source.where}: {index.INDEX_NAME}")
        return document, listed(source, document) or []


def compare(old: BundleIndex, new: BundleIndex) -> dict[str, Any]:
    """Two indexes -> what changed. Pure. Each of images, charts and files has `added`, `removed` and `changed`.

    `carry`: blobs and their bytes that who has the old bundle needs, has, and needs no more. Sizes in bytes.
    """
    fields = {
        name: [getattr(old, name), getattr(new, name)] for name in _FIELDS if getattr(old, name) != getattr(new, name)
    }
    if old.runtime.reference != new.runtime.reference:
        fields["runtime"] = [old.runtime.reference, new.runtime.reference]
    had, has = _blobs(old), _blobs(new)
    return {
        "same": old == new,
        "fields": fields,
        "images": _changes(
            {image.reference: str(image.digest) for image in old.images},
            {image.reference: str(image.digest) for image in new.images},
        ),
        "charts": _changes(
            {chart.name: f"{chart.version} {chart.sha256}" for chart in old.charts},
            {chart.name: f"{chart.version} {chart.sha256}" for chart in new.charts},
        ),
        "files": _changes(
            {file.path: str(file.sha256) for file in old.files}, {file.path: str(file.sha256) for file in new.files}
        ),
        "carry": {
            "new_blobs": len(has.keys() - had.keys()),
            "new_bytes": sum(has[digest] for digest in has.keys() - had.keys()),
            "kept_blobs": len(had.keys() & has.keys()),
            "kept_bytes": sum(has[digest] for digest in has.keys() & had.keys()),
            "gone_blobs": len(had.keys() - has.keys()),
            "gone_bytes": sum(had[digest] for digest in had.keys() - has.keys()),
        },
        "size": [_size(old), _size(new)],
    }


def _blobs(document: BundleIndex) -> dict[Digest, int]:
    return {blob.digest: blob.size for archive in document.archives for blob in archive.blobs}


def _size(document: BundleIndex) -> int:
    return sum(item.size for item in document.archives) + sum(item.size for item in document.files)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Any]:
    return {
        "added": {name: new[name] for name in sorted(new.keys() - old.keys())},
        "removed": {name: old[name] for name in sorted(old.keys() - new.keys())},
        "changed": {name: [old[name], new[name]] for name in sorted(old.keys() & new.keys()) if old[name] != new[name]},
    }


def render(found: dict[str, Any]) -> str:
    """`diff`'s values -> text for people, without a last newline."""
    return "the same bundle" if found["same"] else "\n".join(map(printable, _lines(found)))


def _lines(found: dict[str, Any]) -> Iterable[str]:
    for name, (before, after) in found["fields"].items():
        yield f"  {name}: {before} -> {after}"
    for kind in ("images", "charts", "packages", "files"):
        changes = found[kind]
        yield from (f"+ {kind[:-1]} {name}  {value}" for name, value in changes["added"].items())
        yield from (f"- {kind[:-1]} {name}  {value}" for name, value in changes["removed"].items())
        yield from (f"~ {kind[:-1]} {name}  {was} -> {now}" for name, (was, now) in changes["changed"].items())
    carry, (before, after) = found["carry"], found["size"]
    yield f"  size: {human_bytes(before)} -> {human_bytes(after)}"
    kept, new = human_bytes(carry["kept_bytes"]), human_bytes(carry["new_bytes"])
    gone = carry["gone_blobs"]
    yield f"  blobs: {carry['new_blobs']} to carry ({new}), {carry['kept_blobs']} kept ({kept}), {gone} gone"
