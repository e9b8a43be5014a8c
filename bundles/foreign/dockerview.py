"""manifest.json, as docker save, podman save, skopeo and crane write it (docker's image spec v1.2)."""

import re
from typing import Final

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.foreign.catalogue import OpenArchive
from bundles.foreign.images import ConfigReader, StoredImage, StoredLayer
from bundles.reference import Reference

MANIFEST: Final = "manifest.json"
_BLOB: Final = re.compile(r"blobs/sha256/([0-9a-f]{64})")
# docker writes HEX.json, crane sha256:HEX, others blobs/sha256/HEX: each says what the bytes must hash to.
_CONFIG: Final = re.compile(r"(?:blobs/sha256/|sha256:)?([0-9a-f]{64})(?:\.json)?")
_MAX_IMAGES: Final = 2_000
_MAX_TAGS: Final = 20_000  # of all images


def read(archive: OpenArchive) -> list[StoredImage] | None:
    """The images of manifest.json in order; None when the archive has none. Raises FormatError."""
    if not archive.contents.has(MANIFEST, archive.where):
        return None
    where = f"{archive.where}: {MANIFEST}"
    documents = jsontext.decode(archive.document(MANIFEST), list[oci.DockerImage], where=where)
    if len(documents) > _MAX_IMAGES:
        raise LimitError("too many images", where=where, got=len(documents), want=f"<= {_MAX_IMAGES}")
    if sum(len(document.RepoTags or []) for document in documents) > _MAX_TAGS:
        raise LimitError("too many tags", where=where, want=f"<= {_MAX_TAGS}")
    configs = ConfigReader(archive)
    return [_image(archive, configs, document, where) for document in documents]


def _image(archive: OpenArchive, configs: ConfigReader, document: oci.DockerImage, where: str) -> StoredImage:
    member = archive.contents.resolve(document.Config, where)
    digest, platform, diff_ids = configs.read(member, len(document.Layers), where)
    told = _CONFIG.fullmatch(document.Config)
    if told and told[1] != digest.hex:
        raise FormatError("config with a wrong digest", where=where, got=digest, want=told[1])
    pairs = zip(document.Layers, diff_ids, strict=True)
    layers = tuple(_layer(archive, document, name, diff_id, where) for name, diff_id in pairs)
    return StoredImage(
        names=_names(document.RepoTags or [], where),
        tags=frozenset(),
        manifest_digest=None,
        config_digest=digest,
        platform=platform,
        layers=layers,
    )


def _names(tags: list[str], where: str) -> frozenset[str]:
    """RepoTags, normalised; one malformed tag spoils the archive, as it does for RKE2."""
    names = []
    for tag in tags:
        try:
            reference = Reference.parse(tag)
        except FormatError as exc:
            raise FormatError(f"malformed RepoTags: {exc.message}", where=where, got=exc.got) from exc
        if reference.tag is None or reference.digest is not None:
            raise FormatError("malformed RepoTags: not a tag", where=where, got=repr(tag[:300]))
        names.append(reference.name)
    return frozenset(names)


def _layer(archive: OpenArchive, document: oci.DockerImage, name: str, diff_id: Digest, where: str) -> StoredLayer:
    member = archive.contents.resolve(name, where)
    blob = _BLOB.fullmatch(member)
    digest = Digest(blob[1]) if blob else None
    span = archive.contents.files[member]
    source = (document.LayerSources or {}).get(str(diff_id))
    if source is not None:
        size = span[1]
        if source.size != size or (digest is not None and source.digest != digest):
            got, want = f"{source.digest}, {source.size} bytes", f"{digest or member}, {size} bytes"
            raise FormatError("LayerSources and Layers disagree", where=where, got=got, want=want)
        digest = source.digest
    return StoredLayer(member=member, span=span, diff_id=diff_id, digest=digest)
