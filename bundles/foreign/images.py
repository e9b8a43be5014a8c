"""The images of an archive as its documents tell them: docker's manifest.json, the OCI layout's index.json, or both.

Where both exist they must tell the same: RKE2 and docker read the one, containerd the other, and an archive that
says two things is two archives.
"""

from dataclasses import dataclass, replace

import msgspec

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.foreign.catalogue import Span
from bundles.platform import Platform

MAX_LAYERS = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredLayer:
    """`member` holds the layer, at `span` if it is there; `digest` as stored is None where no document tells it."""

    member: str
    span: Span | None
    diff_id: Digest
    digest: Digest | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredImage:
    """One image of an archive: `names` are normalised references, `tags` bare words that are no references."""

    names: frozenset[str]
    tags: frozenset[str]
    manifest_digest: Digest | None
    config_digest: Digest
    platform: Platform
    layers: tuple[StoredLayer, ...]


class _Config(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of an image config, in OCI's and docker's form alike."""

    architecture: str
    os: str
    rootfs: oci.RootFS
    variant: str = ""


def read_config(data: bytes, where: str) -> tuple[Platform, list[Digest]]:
    """The bytes of a config -> platform and diff ids; raises FormatError."""
    config = jsontext.decode(data, _Config, where=where)
    if config.rootfs.type != "layers" or len(config.rootfs.diff_ids) > MAX_LAYERS:
        raise FormatError("image config without a usable list of layers", where=where)
    return Platform(os=config.os, architecture=config.architecture, variant=config.variant), config.rootfs.diff_ids


def merged(docker: list[StoredImage] | None, layout: list[StoredImage] | None, where: str) -> list[StoredImage]:
    """Both views -> one; raises FormatError where they disagree or one of them contradicts itself."""
    if docker is None and layout is None:
        raise FormatError("neither manifest.json nor index.json: not an archive of images", where=where)
    if docker is None or layout is None:
        images = docker if layout is None else layout
    else:
        images = _both(docker, layout, where)
    _refuse_one_name_for_two(images or [], where)
    return images or []


def _both(docker: list[StoredImage], layout: list[StoredImage], where: str) -> list[StoredImage]:
    """Every image of manifest.json must be in the index, with the same layers and, where it has any, names."""
    _refuse_names_that_differ(docker, layout, where)
    images = []
    for image in docker:
        twins = [other for other in layout if _same_layers(image, other)]
        if not twins:
            raise FormatError("manifest.json and index.json disagree", where=where, got=f"config {image.config_digest}")
        for twin in twins:
            if twin.names and twin.names != image.names:
                got, want = sorted(twin.names), sorted(image.names)
                raise FormatError("manifest.json and index.json disagree on names", where=where, got=got, want=want)
        best = min(twins, key=lambda twin: twin.manifest_digest or twin.config_digest)
        images.append(replace(best, names=image.names, tags=best.tags | image.tags))
    used = {image.manifest_digest for image in images}
    return images + [other for other in layout if other.manifest_digest not in used]


def _same_layers(image: StoredImage, other: StoredImage) -> bool:
    if image.config_digest != other.config_digest or len(image.layers) != len(other.layers):
        return False
    return all(one.member == two.member for one, two in zip(image.layers, other.layers, strict=True))


def _refuse_names_that_differ(docker: list[StoredImage], layout: list[StoredImage], where: str) -> None:
    """A name in both views must reach the same config in both."""
    for image in docker:
        for name in image.names:
            configs = {other.config_digest for other in layout if name in other.names}
            if configs and image.config_digest not in configs:
                raise FormatError("manifest.json and index.json disagree", where=where, got=f"two images are {name}")


def _refuse_one_name_for_two(images: list[StoredImage], where: str) -> None:
    owners: dict[tuple[str, Platform], Digest] = {}
    for image in images:
        for name in image.names:
            owner = owners.setdefault((name, image.platform), image.config_digest)
            if owner != image.config_digest:
                raise FormatError("one tag for two images", where=where, got=name)


def bound_layers(count: int, diff_ids: list[Digest], where: str) -> None:
    """Raises unless there is one diff id for each of `count` layers, and not too many of them."""
    if count > MAX_LAYERS:
        raise LimitError("too many layers", where=where, got=count, want=f"<= {MAX_LAYERS}")
    if count != len(diff_ids):
        raise FormatError("the config names another number of layers", where=where, got=len(diff_ids), want=count)
