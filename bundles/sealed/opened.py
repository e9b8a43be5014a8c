"""One image's documents, parsed and held against each other as strictly as any other reader does. Pure.

What another reader passes over (an artifact's config, an attestation's place in an index) or refuses would be an image
that is in the archive for the one and missing for the other.
"""

from dataclasses import dataclass

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.platform import Platform
from bundles.reference import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedImage:
    """An image of an archive, by one reference (with a tag): the exact bytes of its JSON blobs.

    `index`: the original multi-platform index, where index.json shall point at that (`keep_index`).
    """

    reference: Reference
    manifest: bytes
    config: bytes
    index: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedDocuments:
    """An image with its documents parsed; `tag` is the full name with domain and tag, without digest."""

    source: SealedImage
    tag: str
    target: oci.Descriptor  # what index.json points at, without annotations
    config: Digest
    layers: list[oci.Descriptor]
    diff_ids: list[Digest]


def open_documents(image: SealedImage) -> OpenedDocuments:
    """Parses an image's documents; raises FormatError that names the reference when they do not belong together."""
    reference = image.reference
    if not reference.tag:
        hint = "give the image a tag: readers have no name for it otherwise"
        raise FormatError("an image without a tag cannot be put into an archive", where=reference.name, hint=hint)
    manifest = jsontext.decode(image.manifest, oci.Manifest, where=f"{reference.name} manifest")
    if manifest.schema_version != 2:
        got = manifest.schema_version
        raise FormatError("unknown schema version", where=f"{reference.name} manifest", got=got, want=2)
    config = _config(image, manifest)
    return OpenedDocuments(
        source=image,
        tag=f"{reference.domain}/{reference.repository}:{reference.tag}",
        target=_target(image, manifest),
        config=manifest.config.digest,
        layers=[descriptor(layer.media_type, layer.digest, layer.size) for layer in manifest.layers],
        diff_ids=config.rootfs.diff_ids,
    )


def _config(image: SealedImage, manifest: oci.Manifest) -> oci.ImageConfig:
    name, told, digest, size = image.reference.name, manifest.config, Digest.of(image.config), len(image.config)
    config = jsontext.decode(image.config, oci.ImageConfig, where=f"{name} config")
    layers, diff_ids = len(manifest.layers), len(config.rootfs.diff_ids)
    if (told.digest, told.size, layers) != (digest, size, diff_ids):
        got = f"{told.digest}, {told.size} bytes, {layers} layers"
        want = f"{digest}, {size} bytes, {diff_ids} diff ids"
        raise FormatError("manifest and config do not belong together", where=name, got=got, want=want)
    if told.media_type not in oci.CONFIGS or config.rootfs.type != "layers":
        got, want = f"{told.media_type}, {config.rootfs.type!a}", f"{' or '.join(oci.CONFIGS)}, 'layers'"
        raise FormatError("not the config of a container image", where=name, got=got, want=want)
    Platform.told(config.os, config.architecture, config.variant, where=f"{name} config")
    return config


def _target(image: SealedImage, manifest: oci.Manifest) -> oci.Descriptor:
    digest, size = Digest.of(image.manifest), len(image.manifest)
    if image.index is None:
        return descriptor(manifest.media_type or oci.MANIFEST, digest, size)
    where = f"{image.reference.name} index"
    document = jsontext.decode(image.index, oci.Index, where=where)
    children = [child for child in document.manifests if child.digest == digest]
    if not children:
        raise FormatError("the index does not list the platform's manifest", where=where, want=digest)
    for child in children:
        told = (child.media_type, child.size, child.platform.os if child.platform else "")
        if told[0] not in oci.MANIFESTS or told[1] != size or told[2] == "unknown":  # attestations are marked so
            want = f"{' or '.join(oci.MANIFESTS)}, {size} bytes, a known system"
            got = f"{told[0]}, {told[1]} bytes, {told[2] or 'no system'}"
            raise FormatError("the index tells the platform's manifest wrongly", where=where, got=got, want=want)
    return descriptor(document.media_type or oci.INDEX, Digest.of(image.index), len(image.index))


def descriptor(media_type: str, digest: Digest, size: int) -> oci.Descriptor:
    """A bare descriptor; `size` in bytes."""
    return oci.Descriptor(media_type=media_type, digest=digest, size=size)
