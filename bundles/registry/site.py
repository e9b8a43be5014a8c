"""The images of a bundle in a site's own registry, each under its own name there, with the digests of the bundle."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.reference import Reference
from bundles.registry.documents import Document
from bundles.registry.mirrors import registries_yaml
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.registry.push import Blob, BundleImage, Opened, Sent, push_blobs, put_manifest
from bundles.registry.session import no_check
from bundles.talk import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """An image in the site's registry: its name in the bundle, where it is now, its digest, whether it was sent."""

    reference: str
    repository: Repository
    tag: str
    digest: Digest
    sent: bool


def push_images(
    bundle: Opened, registry: Registry, host: str, prefix: str, sent: Sent, progress: Progress
) -> list[Placed]:
    """Puts every image under HOST[/PREFIX]/its own path; `sent` counts, and knows from where blobs can be mounted.

    Raises FormatError when two images would get one name there.
    """
    places = [_place(image, host, prefix) for image in bundle.images]
    if twice := {str(one) for one in places if places.count(one) > 1}:
        raise FormatError("two images would have one name", where=host, got=", ".join(sorted(twice)))
    placed = []
    for image, (repository, tag) in zip(bundle.images, places, strict=True):
        digest = registry.has_manifest(repository, tag, no_check)
        known = {one.digest for one in (image.manifest, image.kept) if one is not None}
        if was_sent := digest not in known:
            _push(registry, repository, image, sent, progress)
            digest = _tag(registry, repository, tag, image).digest
            sent.manifests += 1
        assert digest is not None
        placed.append(Placed(reference=image.reference, repository=repository, tag=tag, digest=digest, sent=was_sent))
    return placed


def site_registries(bundle: Opened, host: str, prefix: str, *, plain: bool) -> str:
    """The registries.yaml with which the site's nodes find these images."""
    return registries_yaml(host, prefix, _domains(bundle.images), plain=plain)


def _push(registry: Registry, repository: Repository, image: BundleImage, sent: Sent, progress: Progress) -> None:
    blobs: list[Blob] = [image.config, *image.layers]
    push_blobs(registry, repository, blobs, sent, progress)
    put_manifest(registry, repository, image.manifest)


def _tag(registry: Registry, repository: Repository, tag: str, image: BundleImage) -> Document:
    """The index where the bundle keeps one, and the registry takes it without other platforms; else the manifest."""
    if image.kept is not None:
        with contextlib.suppress(SealiftError):  # distribution 2 wants all that an index lists
            registry.push_manifest(repository, tag, image.kept, no_check)
            return image.kept
    registry.push_manifest(repository, tag, image.manifest, no_check)
    return image.manifest


def _place(image: BundleImage, host: str, prefix: str) -> tuple[Repository, str]:
    reference = Reference.parse(image.reference)
    path = f"{prefix}/{reference.repository}" if prefix else reference.repository
    return Repository(host=host, path=path), str(reference.tag)


def _domains(images: Iterable[BundleImage]) -> set[str]:
    return {Reference.parse(image.reference).domain for image in images}
