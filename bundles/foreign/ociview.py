"""index.json and the blobs below it (OCI image spec, image-layout.md), as docker, podman, skopeo and hauler write it.

What is not an image of a platform (attestations, signatures, charts, platforms whose blobs were left out) is passed
over; what is there must have the digest and size its descriptor says.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.foreign.catalogue import OpenArchive
from bundles.foreign.images import StoredImage, StoredLayer, bound_layers, read_config
from bundles.reference import Reference

INDEX: Final = "index.json"
_INDEXES: Final = (oci.INDEX, oci.DOCKER_INDEX)
_MANIFESTS: Final = (oci.MANIFEST, oci.DOCKER_MANIFEST)
_CONFIGS: Final = (oci.CONFIG, oci.DOCKER_CONFIG)
_MAX_DEPTH: Final = 3
_MAX_DESCRIPTORS: Final = 5_000


def read(archive: OpenArchive) -> list[StoredImage] | None:
    """The images below index.json, each manifest once with all its names; None when there is no index.json."""
    if INDEX not in archive.contents.files:
        return None
    index = jsontext.decode(archive.document(INDEX), oci.Index, where=f"{archive.where}: {INDEX}")
    images: dict[Digest, StoredImage] = {}
    for count, (descriptor, names, tags) in enumerate(_leaves(archive, index, frozenset(), frozenset(), 0)):
        if count > _MAX_DESCRIPTORS:
            raise LimitError("too many descriptors", where=archive.where, want=f"<= {_MAX_DESCRIPTORS}")
        known = images.get(descriptor.digest) or _image(archive, descriptor)
        if known is not None:
            images[descriptor.digest] = replace(known, names=known.names | names, tags=known.tags | tags)
    return list(images.values())


def _leaves(
    archive: OpenArchive, index: oci.Index, names: frozenset[str], tags: frozenset[str], level: int
) -> Iterator[tuple[oci.Descriptor, frozenset[str], frozenset[str]]]:
    """Descriptors of manifests with the names that lead to them; nested indexes hand theirs down."""
    if level > _MAX_DEPTH or len(index.manifests) > _MAX_DESCRIPTORS:
        raise LimitError("indexes nested too deeply or too long", where=archive.where)
    for descriptor in index.manifests:
        own_names, own_tags = _named(descriptor)
        named = (names | own_names, tags | own_tags)
        present = _member(descriptor) in archive.contents.files
        if not present and level == 0:
            raise FormatError("index.json names a blob that is not there", where=archive.where, got=descriptor.digest)
        if not present or (descriptor.platform is not None and descriptor.platform.os == "unknown"):
            continue
        if descriptor.media_type in _INDEXES:
            inner = jsontext.decode(_blob(archive, descriptor), oci.Index, where=_where(archive, descriptor))
            yield from _leaves(archive, inner, *named, level + 1)
        elif descriptor.media_type in _MANIFESTS:
            yield descriptor, *named


def _named(descriptor: oci.Descriptor) -> tuple[frozenset[str], frozenset[str]]:
    """(full references, bare tags) of a descriptor's annotations; containerd's name goes before the spec's."""
    annotations = descriptor.annotations
    text = annotations.get(oci.ANNOTATION_IMAGE_NAME) or annotations.get(oci.ANNOTATION_REF_NAME)
    if not text:
        return frozenset(), frozenset()
    try:
        return frozenset({Reference.parse(text).name}), frozenset()
    except FormatError:
        return frozenset(), frozenset({text[:300]})


def _image(archive: OpenArchive, descriptor: oci.Descriptor) -> StoredImage | None:
    where = _where(archive, descriptor)
    manifest = jsontext.decode(_blob(archive, descriptor), oci.Manifest, where=where)
    if manifest.schema_version != 2:
        raise FormatError("unknown schema version", where=where, got=manifest.schema_version, want=2)
    if manifest.config.media_type not in _CONFIGS or _member(manifest.config) not in archive.contents.files:
        return None
    data = _blob(archive, manifest.config)
    platform, diff_ids = read_config(data, _where(archive, manifest.config))
    bound_layers(len(manifest.layers), diff_ids, where)
    pairs = zip(manifest.layers, diff_ids, strict=True)
    return StoredImage(
        names=frozenset(),
        tags=frozenset(),
        manifest_digest=descriptor.digest,
        config_digest=manifest.config.digest,
        platform=platform,
        layers=tuple(_layer(archive, layer, diff_id) for layer, diff_id in pairs),
    )


def _layer(archive: OpenArchive, descriptor: oci.Descriptor, diff_id: Digest) -> StoredLayer:
    """A layer whose blob is absent stays: whether it matters shows when the image is wanted."""
    member = _member(descriptor)
    span = archive.contents.files.get(member)
    if span is not None and span[1] != descriptor.size:
        where = _where(archive, descriptor)
        raise FormatError("blob with a wrong size", where=where, got=span[1], want=descriptor.size)
    return StoredLayer(member=member, span=span, diff_id=diff_id, digest=descriptor.digest)


def _blob(archive: OpenArchive, descriptor: oci.Descriptor) -> bytes:
    """The bytes of a JSON blob, checked against its descriptor."""
    where = _where(archive, descriptor)
    data = archive.document(_member(descriptor))
    if len(data) != descriptor.size:
        raise FormatError("blob with a wrong size", where=where, got=len(data), want=descriptor.size)
    if Digest.of(data) != descriptor.digest:
        raise FormatError("blob with a wrong digest", where=where, got=Digest.of(data), want=descriptor.digest)
    return data


def _member(descriptor: oci.Descriptor) -> str:
    return f"blobs/sha256/{descriptor.digest.hex}"


def _where(archive: OpenArchive, descriptor: oci.Descriptor) -> str:
    return f"{archive.where}: {_member(descriptor)}"
