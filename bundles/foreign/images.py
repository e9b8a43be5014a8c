"""The images of an archive as its documents tell them: docker's manifest.json, the OCI layout's index.json, or both.

Where both exist they must tell the same: RKE2 and docker read the one, containerd the other, and an archive that
says two things is two archives.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.foreign.catalogue import OpenArchive, Span
from bundles.platform import Platform

MAX_LAYERS: Final = 512
MAX_ALL_LAYERS: Final = 50_000  # of all images of one archive


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


class ConfigReader:
    """Reads image configs of one archive, each only once, however many images name it."""

    def __init__(self, archive: OpenArchive) -> None:
        """Takes the open archive."""
        self._archive = archive
        self._known: dict[str, tuple[Digest, Platform, list[Digest]]] = {}
        self._layers = 0

    def read(self, member: str, layers: int, where: str) -> tuple[Digest, Platform, list[Digest]]:
        """The config `member` of an image with so many `layers` -> its digest, platform and as many diff ids.

        Raises FormatError, LimitError; `where` names the document that refers to it.
        """
        if member not in self._known:
            self._known[member] = read_config(self._archive.document(member), f"{self._archive.where}: {member}")
        _, _, diff_ids = known = self._known[member]
        self._layers += layers
        if layers > MAX_LAYERS or self._layers > MAX_ALL_LAYERS:
            raise LimitError("too many layers", where=where, got=layers, want=f"<= {MAX_LAYERS}")
        if layers != len(diff_ids):
            raise FormatError("the config names another number of layers", where=where, got=len(diff_ids), want=layers)
        return known


def read_config(data: bytes, where: str) -> tuple[Digest, Platform, list[Digest]]:
    """An image's config -> its digest, the platform, the diff ids from the lowest layer up. Raises FormatError."""
    config = jsontext.decode(data, _Config, where=where)
    if config.rootfs.type != "layers":
        raise FormatError("image config without a list of layers", where=where, got=repr(config.rootfs.type[:40]))
    platform = Platform.told(config.os, config.architecture, config.variant, where=where)
    return Digest.of(data), platform, config.rootfs.diff_ids


def merged(docker: list[StoredImage] | None, layout: list[StoredImage] | None, where: str) -> list[StoredImage]:
    """Both views -> one; raises FormatError where they disagree or one of them contradicts itself."""
    if docker is None and layout is None:
        raise FormatError("neither manifest.json nor index.json: not an archive of images", where=where)
    docker = _folded(docker) if docker is not None else None
    if docker is None or layout is None:
        images = docker if layout is None else layout
    else:
        images = _both(docker, layout, where)
    _refuse_one_name_for_two(images or [], where)
    return images or []


def _folded(docker: list[StoredImage]) -> list[StoredImage]:
    """One image that manifest.json names in several objects, once, with all its names."""
    folded: dict[tuple[Digest, tuple[StoredLayer, ...]], StoredImage] = {}
    for image in docker:
        known = folded.setdefault((image.config_digest, image.layers), image)
        folded[image.config_digest, image.layers] = replace(known, names=known.names | image.names)
    return list(folded.values())


def _both(docker: list[StoredImage], layout: list[StoredImage], where: str) -> list[StoredImage]:
    """Every image of manifest.json must be in the index, with the same layers and, where it has any, names."""
    by_content: defaultdict[tuple[Digest, tuple[str, ...]], list[StoredImage]] = defaultdict(list)
    for other in layout:
        by_content[_content(other)].append(other)
    _refuse_names_that_differ(docker, layout, where)
    images = []
    for image in docker:
        twins = by_content[_content(image)]
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


def _content(image: StoredImage) -> tuple[Digest, tuple[str, ...]]:
    """What both views must tell alike of one image: its config and the members that are its layers."""
    return image.config_digest, tuple(layer.member for layer in image.layers)


def _refuse_names_that_differ(docker: list[StoredImage], layout: list[StoredImage], where: str) -> None:
    """A name in both views must reach the same config in both."""
    configs: defaultdict[str, set[Digest]] = defaultdict(set)
    for other in layout:
        for name in other.names:
            configs[name].add(other.config_digest)
    for image in docker:
        for name in image.names:
            if name in configs and image.config_digest not in configs[name]:
                raise FormatError("manifest.json and index.json disagree", where=where, got=f"two images are {name}")


def _refuse_one_name_for_two(images: list[StoredImage], where: str) -> None:
    owners: dict[tuple[str, Platform], Digest] = {}
    for image in images:
        for name in image.names:
            owner = owners.setdefault((name, image.platform), image.config_digest)
            if owner != image.config_digest:
                raise FormatError("one tag for two images", where=where, got=name)
