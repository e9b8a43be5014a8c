"""Bundles of one release for several platforms under one tag, and their images under one name each.

Under the tag lies an OCI index of type `...bundles`; its entries are the bundles' own indexes, each with its platform.
Each also has a tag of its own, `TAG-linux-arm64`: it can be pulled by that, and no registry's cleaning takes it for
forgotten. Signatures, SBOMs and provenance refer to the bundles' own indexes.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import SealiftError, UsageError
from bundles.platform import Platform
from bundles.registry.artifact import BUNDLE, BUNDLES, default_tag
from bundles.registry.documents import Document, RemoteDescriptor, RemoteIndex
from bundles.registry.opened import BundleImage, Opened
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.registry.push import Sent, push_bundle, put_manifest
from bundles.registry.session import no_check
from bundles.registry.site import Placed, push_images, shared_places
from bundles.talk import Progress

_TAG: Final = 128  # characters of a tag (distribution-spec)


@dataclass(frozen=True, kw_only=True, slots=True)
class SentAll:
    """What a push did: the digest under `tag`, and what each bundle's push did, in their order.

    `joined`: indexes put above those of the bundles.
    """

    digest: Digest
    tag: str
    each: tuple[Sent, ...]
    joined: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """What was sent, by kind."""
        return {
            "blobs": sum(one.blobs for one in self.each),
            "bytes": sum(one.size for one in self.each),
            "manifests": sum(one.manifests for one in self.each) + self.joined,
            "referrers": sum(one.referrers for one in self.each),
        }


def push_bundles(
    bundles: Sequence[Opened], registry: Registry, repository: Repository, tag: str | None, progress: Progress
) -> SentAll:
    """Puts bundles of one release under one tag (None: version and flavour); a second push sends nothing.

    One bundle alone lies there as ever.

    Raises UsageError for bundles of different releases, or two for one platform.
    """
    check_release(bundles)
    if len(bundles) == 1:
        sent = push_bundle(bundles[0], registry, repository, tag, progress)
        return SentAll(digest=sent.digest, tag=sent.tag, each=(sent,))
    tag = tag or common_tag(bundles[0])
    each = tuple(push_bundle(one, registry, repository, _own_tag(tag, one), progress) for one in bundles)
    listed = [
        _own(registry, repository, sent.digest).descriptor(
            artifact_type=BUNDLE, platform=_document_of(_platform(bundle))
        )
        for bundle, sent in sorted(zip(bundles, each, strict=True), key=lambda pair: pair[0].document.platform)
    ]
    top = bundles_index(listed, bundles[0])
    put = put_manifest(registry, repository, top, tag)
    return SentAll(digest=top.digest, tag=tag, each=each, joined=int(put))


def _own_tag(tag: str, bundle: Opened) -> str:
    return f"{tag}-{_platform(bundle).dashed}"[-_TAG:].lstrip(".-")


def bundles_index(listed: Sequence[RemoteDescriptor], one: Opened) -> Document:
    """The bundles' own indexes, and one of the bundles for its name and version -> what lies under the tag. Pure."""
    said = {
        "org.opencontainers.image.title": one.document.name,
        "org.opencontainers.image.version": one.document.version,
        "sealift.flavour": one.document.flavour,
    }
    made = RemoteIndex(
        schema_version=2, media_type=oci.INDEX, artifact_type=BUNDLES, manifests=list(listed), annotations=said
    )
    return _document(made)


def push_images_of(
    bundles: Sequence[Opened], registry: Registry, host: str, prefix: str, sent: Sequence[Sent], progress: Progress
) -> list[Placed]:
    """Puts the images of bundles under their names; one that several platforms have becomes a multi-platform one.

    An image that is the same on all platforms keeps its own digest.
    """
    shared = shared_places(bundles, host, prefix)
    placed: list[Placed] = []
    for bundle, one in zip(bundles, sent, strict=True):
        placed += push_images(bundle, registry, host, prefix, one, progress, untagged=frozenset(shared))
    own = [one for one in placed if (one.repository, one.tag) not in shared]
    return [*own, *(_joined(registry, *place, images, sent[0]) for place, images in shared.items())]


def check_release(bundles: Sequence[Opened]) -> None:
    """Returns for bundles of one release, each for another platform; raises UsageError."""
    releases = {(one.document.name, one.document.version, one.document.flavour) for one in bundles}
    if len(releases) > 1:
        got = ", ".join(sorted(" ".join(each) for each in releases))
        raise UsageError("bundles of different releases do not go under one tag", got=got)
    platforms = [one.document.platform for one in bundles]
    if len(set(platforms)) < len(platforms):
        raise UsageError("two bundles for one platform", got=", ".join(sorted(platforms)))


def common_tag(bundle: Opened) -> str:
    """The tag of a release that nobody gave one: version and flavour."""
    return default_tag(bundle.document).removesuffix(f"-{_platform(bundle).dashed}")


def _joined(
    registry: Registry, repository: Repository, tag: str, images: Mapping[Platform, BundleImage], sent: Sent
) -> Placed:
    """One name for the images of all platforms, whose manifests are there already."""
    kept = {image.kept.digest: image.kept for image in images.values() if image.kept is not None}
    manifests = {image.manifest.digest: image.manifest for image in images.values()}
    whole = next(iter(manifests.values())) if len(manifests) == 1 else _image_index(images)
    put = False
    if len(kept) == 1 and len(manifests) > 1:
        with contextlib.suppress(SealiftError):  # a registry may want all that an index lists
            (only,) = kept.values()
            put = put_manifest(registry, repository, only, tag)
            whole = only
    if not kept or whole.digest not in kept:
        put = put_manifest(registry, repository, whole, tag)
    sent.manifests += put
    name = next(iter(images.values())).reference
    return Placed(reference=name, repository=repository, tag=tag, digest=whole.digest, sent=put)


def _image_index(images: Mapping[Platform, BundleImage]) -> Document:
    listed = [image.manifest.descriptor(platform=_document_of(platform)) for platform, image in sorted(images.items())]
    return _document(RemoteIndex(schema_version=2, media_type=oci.INDEX, manifests=listed))


def _own(registry: Registry, repository: Repository, digest: Digest) -> Document:
    return registry.manifest(repository, str(digest), no_check)


def _platform(bundle: Opened) -> Platform:
    return Platform.parse(bundle.document.platform)


def _document_of(platform: Platform) -> oci.PlatformDocument:
    return oci.PlatformDocument(os=platform.os, architecture=platform.architecture, variant=platform.variant)


def _document(made: RemoteIndex) -> Document:
    data = jsontext.encode_canonical(made)
    return Document(data=data, digest=Digest.of(data), media_type=oci.INDEX)
