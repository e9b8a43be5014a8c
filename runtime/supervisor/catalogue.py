"""What the read-only registry has: where each blob of the admitted bundle lies on disk, and what it is called.

The bundle itself is an artifact (OCI image spec, "Guidelines for Artifact Usage"): the repository `sealift/bundle` with
one layer per file, whose title is the file's path, so that any registry client can fetch it too. Its images are served
straight out of its archives, by the offsets in bundle.json: nothing is unpacked, and nothing is kept twice.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundles import index, jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.index import INDEX_NAME, BundleIndex
from bundles.reference import Reference
from bundles.registry.artifact import FILES
from bundles.registry.documents import EMPTY, EMPTY_DATA, TITLE
from bundles.signing.names import is_signature
from bundles.source import BundleSource, open_source, packed_order
from runtime import admitted
from runtime.layout import NodeLayout

REPOSITORY: Final = "sealift/bundle"
ADMITTED_TAG: Final = "admitted"  # what this server runs from, whatever it is called
FILE: Final = "application/vnd.sealift.bundle.file.v1"
_MAX_MANIFEST: Final = 4 << 20  # bytes
_KINDS: Final = (oci.MANIFEST, oci.INDEX, oci.DOCKER_MANIFEST, oci.DOCKER_INDEX)


@dataclass(frozen=True, slots=True)
class Place:
    """`size` bytes from `offset` of the file `path` (relative to the bundle's folder), which has `whole` bytes."""

    path: str
    offset: int
    size: int
    whole: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """What is served of one bundle.

    Args:
        folder: the kept bundle.
        places: of each blob, by digest.
        small: blobs that are no files: the artifact's manifest and its empty configuration.
        kinds: the media type of each manifest, by digest.
        tags: of each repository, tag -> digest of the manifest.
    """

    folder: Path
    places: Mapping[str, Place]
    small: Mapping[str, bytes] = field(repr=False)
    kinds: Mapping[str, str]
    tags: Mapping[str, Mapping[str, str]]


def read_catalogue(layout: NodeLayout) -> Catalogue | None:
    """The admitted bundle's, None when none is. Raises FormatError when the kept bundle is not the admitted one."""
    record = admitted.read(layout.admitted)
    if record is None:
        return None
    folder = layout.bundles / record.bundle
    with open_source(folder) as source:
        data, _ = source.envelope()
        if Digest.of(data) != record.index:
            hint = "stage the bundle again"
            raise FormatError(
                "not the index that was admitted", where=folder, got=Digest.of(data), want=record.index, hint=hint
            )
        document = index.decode(data, where=folder)
        files = list(_files(source, document))
        kinds = _manifest_kinds(source, document)
    manifest = artifact_manifest(document, files)
    places = {str(digest): Place(path, 0, size, size) for path, digest, size in files}
    for archive in document.archives:
        for blob in archive.blobs:
            places[str(blob.digest)] = Place(archive.path, blob.offset, blob.size, archive.size)
    own = str(Digest.of(manifest))
    return Catalogue(
        folder=folder,
        places=places,
        small={own: manifest, str(Digest.of(EMPTY_DATA)): EMPTY_DATA},
        kinds={**kinds, own: oci.MANIFEST},
        tags={**_image_tags(document), REPOSITORY: {ADMITTED_TAG: own, tag_of(record.bundle): own}},
    )


def artifact_manifest(document: BundleIndex, files: Iterable[tuple[str, Digest, int]]) -> bytes:
    """The bundle as an artifact: `files` are path, digest and size in bytes, in the order of a `.sealift` file."""
    layers = [
        {"mediaType": FILE, "digest": str(digest), "size": size, "annotations": {TITLE: path}}
        for path, digest, size in files
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": oci.MANIFEST,
        "artifactType": FILES,
        "config": {"mediaType": EMPTY, "digest": str(Digest.of(EMPTY_DATA)), "size": len(EMPTY_DATA)},
        "layers": layers,
        "annotations": {"org.opencontainers.image.version": document.version},
    }
    return jsontext.encode_canonical(manifest)


def tag_of(name: str) -> str:
    """A bundle's name as a tag: those have no `+`, and at most 128 characters."""
    return name.replace("+", "_")[:128]


def _files(source: BundleSource, document: BundleIndex) -> Iterable[tuple[str, Digest, int]]:
    """The bundle's files. What the index lists is not read here: whoever fetches it checks it against its digest."""
    listed = {archive.path: (archive.sha256, archive.size) for archive in document.archives}
    listed |= {file.path: (file.sha256, file.size) for file in document.files}
    sums = index.sums_name(document.platform)
    for path in packed_order(source.files()):
        if (known := listed.get(path)) is not None:
            yield path, *known
        elif path in (INDEX_NAME, sums) or is_signature(path):
            with source.open(path) as region:
                found = hashlib.sha256()
                for chunk in region.chunks(0, region.size):
                    found.update(chunk)
                yield path, Digest(found.hexdigest()), region.size


def _manifest_kinds(source: BundleSource, document: BundleIndex) -> dict[str, str]:
    """The media types of the images' manifests: a registry has to say them, and they stand in the documents alone."""
    kinds = {}
    for archive in document.archives:
        wanted = {image.digest for image in document.images if image.archive == archive.path}
        wanted |= {image.index_digest for image in document.images if image.index_digest is not None}
        with source.open(archive.path) as region:
            for blob in archive.blobs:
                if blob.digest in wanted and blob.size <= _MAX_MANIFEST:
                    kinds[str(blob.digest)] = _kind(region.read(blob.offset, blob.size))
    return kinds


def _kind(data: bytes) -> str:
    """A manifest's media type; one that does not say it is OCI's. What it says becomes a header: only known words."""
    try:
        document = json.loads(data)
    except ValueError:
        return oci.MANIFEST
    if not isinstance(document, dict):
        return oci.MANIFEST
    said = document.get("mediaType")
    return said if said in _KINDS else (oci.INDEX if "manifests" in document else oci.MANIFEST)


def _image_tags(document: BundleIndex) -> dict[str, dict[str, str]]:
    """Each image under its path (`rancher/x`), and under that with its registry, for two that differ in it alone."""
    tags: dict[str, dict[str, str]] = {}
    for image in document.images:
        try:
            reference = Reference.parse(image.reference)
        except SealiftError:
            continue
        for name in (reference.repository, f"{reference.domain}/{reference.repository}"):
            known = tags.setdefault(name, {})
            if reference.tag is not None:
                known.setdefault(reference.tag, str(image.digest))
    return tags
