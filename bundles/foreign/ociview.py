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
from bundles.foreign.images import ConfigReader, StoredImage, StoredLayer
from bundles.reference import Reference

INDEX: Final = "index.json"
_MAX_DEPTH: Final = 3
_MAX_NESTED: Final = 32 << 20  # bytes of all nested indexes, each counted as often as it is named
_MAX_DESCRIPTORS: Final = 20_000


def read(archive: OpenArchive) -> list[StoredImage] | None:
    """The images below index.json, each manifest once with all its names; None when there is no index.json."""
    if not archive.contents.has(INDEX, archive.where):
        return None
    index = jsontext.decode(archive.document(INDEX), oci.Index, where=f"{archive.where}: {INDEX}")
    configs = ConfigReader(archive)
    images: dict[Digest, StoredImage | None] = {}
    for descriptor, names, tags in _Walk(archive).leaves(index, frozenset(), frozenset(), 0):
        if descriptor.digest not in images:
            images[descriptor.digest] = _image(archive, configs, descriptor)
        if (known := images[descriptor.digest]) is not None:
            images[descriptor.digest] = replace(known, names=known.names | names, tags=known.tags | tags)
    return [image for image in images.values() if image is not None]


class _Walk:
    """Goes through an index and those nested in it, within bounds of the whole: small indexes may repeat large ones."""

    def __init__(self, archive: OpenArchive) -> None:
        self._archive = archive
        self._descriptors = 0
        self._bytes = 0

    def leaves(
        self, index: oci.Index, names: frozenset[str], tags: frozenset[str], level: int
    ) -> Iterator[tuple[oci.Descriptor, frozenset[str], frozenset[str]]]:
        """Descriptors of manifests with the names that lead to them; nested indexes hand theirs down."""
        self._bound(index, level)
        for descriptor in index.manifests:
            own_names, own_tags = _named(descriptor)
            named = (names | own_names, tags | own_tags)
            present = _member(descriptor) in self._archive.contents.files
            if not present and level == 0:
                where = self._archive.where
                raise FormatError("index.json names a blob that is not there", where=where, got=descriptor.digest)
            if not present or (descriptor.platform is not None and descriptor.platform.os == "unknown"):
                continue
            if descriptor.media_type in oci.INDEXES:
                self._bytes += descriptor.size
                inner = self._inner(descriptor)
                yield from self.leaves(inner, *named, level + 1)
            elif descriptor.media_type in oci.MANIFESTS:
                yield descriptor, *named

    def _inner(self, descriptor: oci.Descriptor) -> oci.Index:
        return jsontext.decode(_blob(self._archive, descriptor), oci.Index, where=_where(self._archive, descriptor))

    def _bound(self, index: oci.Index, level: int) -> None:
        self._descriptors += len(index.manifests)
        if level > _MAX_DEPTH or self._descriptors > _MAX_DESCRIPTORS or self._bytes > _MAX_NESTED:
            raise LimitError("too many indexes or descriptors", where=self._archive.where)


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


def _image(archive: OpenArchive, configs: ConfigReader, descriptor: oci.Descriptor) -> StoredImage | None:
    where = _where(archive, descriptor)
    manifest = jsontext.decode(_blob(archive, descriptor), oci.Manifest, where=where)
    if manifest.schema_version != 2:
        raise FormatError("unknown schema version", where=where, got=manifest.schema_version, want=2)
    if manifest.config.media_type not in oci.CONFIGS or _member(manifest.config) not in archive.contents.files:
        return None
    digest, platform, diff_ids = configs.read(_member(manifest.config), len(manifest.layers), where)
    size = archive.contents.files[_member(manifest.config)][1]
    if (digest, size) != (manifest.config.digest, manifest.config.size):
        got, want = f"{digest}, {size} bytes", f"{manifest.config.digest}, {manifest.config.size} bytes"
        raise FormatError("config with a wrong digest or size", where=where, got=got, want=want)
    pairs = zip(manifest.layers, diff_ids, strict=True)
    return StoredImage(
        names=frozenset(),
        tags=frozenset(),
        manifest_digest=descriptor.digest,
        config_digest=digest,
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
