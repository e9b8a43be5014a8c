"""What a bundle or an archive says of itself, as plain values and as text. Nothing is checked but the structure."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bundles import choices, index
from bundles.digest import Digest
from bundles.errors import SealiftError, printable
from bundles.index import BundleIndex
from bundles.packages import crypto
from bundles.region import open_region
from bundles.sealed.read import SealedArchive, read_sealed
from bundles.source import open_source
from bundles.talk import human_bytes


def inspect(path: Path) -> dict[str, Any]:
    """A bundle's folder, `.sealift` file or one sealed archive (`.tar`) -> JSON-able values; sizes in bytes.

    `kind` is `bundle` or `archive`. Raises MissingError, FormatError.
    """
    if path.suffix == ".tar" and not path.is_dir():
        with open_region(path) as region:
            return _archive(read_sealed(region))
    with open_source(path) as source:
        data, signatures = source.envelope()
        document = index.decode(data, where=f"{source.where}: {index.INDEX_NAME}")
        try:
            found = crypto(source, document)
        except SealiftError:
            found = []  # a damaged SBOM is `verify`'s business
    seen = {"kind": "bundle", "sha256": Digest.of(data).hex, "signatures": sorted(signatures)} | _bundle(document)
    return seen | ({"crypto": found} if found else {})


def _bundle(document: BundleIndex) -> dict[str, Any]:
    return {
        "format": document.format,
        "name": document.name,
        "version": document.version,
        "flavour": document.flavour,
        "sequence": document.sequence,
        "created": document.created,
        "expires": document.expires,
        "platform": document.platform,
        "lock": str(document.lock.sha256),
        "size": sum(item.size for item in document.archives) + sum(item.size for item in document.files),
        "runtime": {
            "reference": document.runtime.reference,
            "digest": str(document.runtime.digest),
            "key": document.runtime.key,
        },
        "archives": [_listed_archive(archive) for archive in document.archives],
        "images": [_listed_image(image) for image in document.images],
        "charts": [
            {"name": chart.name, "version": chart.version, "sha256": chart.sha256.hex} for chart in document.charts
        ],
        "choices": [
            {"key": choice.key, "name": choice.name, "archives": list(choice.archives), "charts": list(choice.charts)}
            for choice in choices.offered(document)
        ],
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256.hex} for file in document.files],
    }


def _listed_archive(archive: index.Archive) -> dict[str, Any]:
    return {
        "path": archive.path,
        "size": archive.size,
        "sha256": archive.sha256.hex,
        "images": list(archive.images),
        "blobs": len(archive.blobs),
        "frames": sum(len(blob.frames or ()) for blob in archive.blobs),
    }


def _listed_image(image: index.Image) -> dict[str, Any]:
    plain = {"reference": image.reference, "digest": str(image.digest), "archive": image.archive, "why": image.why}
    return plain | ({"index_digest": str(image.index_digest)} if image.index_digest else {})


def _archive(archive: SealedArchive) -> dict[str, Any]:
    return {
        "kind": "archive",
        "path": archive.region.where,
        "size": archive.region.size,
        "created": archive.layout.mtime,
        "blobs": len(list(archive.layout.blobs())),
        "images": [
            {
                "reference": image.reference.name,
                "digest": str(image.digest),
                "config": str(image.config),
                "platform": str(image.platform),
                "layers": [
                    {
                        "digest": str(layer.digest),
                        "size": layer.entry.size,
                        "offset": layer.entry.offset,
                        "diff_id": str(layer.diff_id),
                        "media_type": layer.media_type,
                    }
                    for layer in image.layers
                ],
            }
            for image in archive.images
        ],
    }


def render(seen: dict[str, Any]) -> str:
    """`inspect`'s values -> text for people, without a last newline."""
    return "\n".join(map(printable, _archive_lines(seen) if seen["kind"] == "archive" else _bundle_lines(seen)))


def _archive_lines(seen: dict[str, Any]) -> Iterable[str]:
    yield f"{seen['path']}: sealed archive, {human_bytes(seen['size'])}, {seen['blobs']} blobs"
    for image in seen["images"]:
        yield f"  {image['reference']}  {image['platform']}"
        yield f"    manifest  {image['digest']}"
        for layer in image["layers"]:
            yield f"    layer     {layer['digest']}  {human_bytes(layer['size'])}"


def _reasoned(row: dict[str, str]) -> str:
    return f"{row['program']} ({row['because']})" if row["because"] else row["program"]


def _bundle_lines(seen: dict[str, Any]) -> Iterable[str]:
    signed = ", ".join(seen["signatures"]) or "none"
    yield f"{seen['name']} {seen['version']} ({seen['flavour']}) for {seen['platform']}, {human_bytes(seen['size'])}"
    yield f"  sequence    {seen['sequence']}"
    yield f"  signatures  {signed} (not checked here)"
    yield f"  runtime     {seen['runtime']['reference']}"
    yield f"              {seen['runtime']['digest']}, key {seen['runtime']['key']}"
    for archive in seen["archives"]:
        yield f"  archive     {archive['path']}  {human_bytes(archive['size'])}, {archive['blobs']} blobs"
        for image in seen["images"]:
            if image["archive"] == archive["path"]:
                yield f"    {image['reference']}  {image['digest']}  ({image['why']})"
    for chart in seen["charts"]:
        yield f"  chart       {chart['name']} {chart['version']}"
    for choice in seen["choices"]:
        parts = [path.removeprefix("images/") for path in choice["archives"]] + choice["charts"]
        yield f"  choice      {choice['key']}: {choice['name']}  ({', '.join(parts)})"
    for mode in sorted({row["crypto"] for row in seen.get("crypto", ())}):
        yield f"  crypto      {mode}: {', '.join(_reasoned(row) for row in seen['crypto'] if row['crypto'] == mode)}"
    for file in seen["files"]:
        yield f"  file        {file['path']}  {human_bytes(file['size'])}"
