"""The images of a bundle in a site's own registry, each under its own name there, with the digests of the bundle."""

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bundles.crew import Crew, Seat
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.registry.documents import Document
from bundles.registry.mirrors import registries_yaml
from bundles.registry.opened import Blob, BundleImage, Opened
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.registry.push import WORKERS, Sent, put_manifest, send_blobs
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
    bundle: Opened,
    registry: Registry,
    host: str,
    prefix: str,
    sent: Sent,
    progress: Progress,
    *,
    untagged: Collection[tuple[Repository, str]] = (),
) -> list[Placed]:
    """Puts every image under HOST[/PREFIX]/its own path; `sent` counts, and knows from where blobs can be mounted.

    `untagged`: names that images of several platforms share; their manifests go there by digest alone.
    Raises FormatError when two images would get one name there.
    """
    places = [_place(image, host, prefix) for image in bundle.images]
    if twice := {str(one) for one in places if places.count(one) > 1}:
        raise FormatError("two images would have one name", where=host, got=", ".join(sorted(twice)))
    jobs = [_Job(image, *place, untagged=place in untagged) for image, place in zip(bundle.images, places, strict=True)]
    there = Crew(partial(_digest, registry), _alike).all(jobs, WORKERS)
    missing = [job for job, digest in zip(jobs, there, strict=True) if digest is None]
    # Each blob comes to this registry once, and is mounted from there into every other repository.
    homes = {blob.digest: (blob, job.repository) for job in reversed(missing) for blob in job.blobs}
    news = [home for digest, home in homes.items() if (host, digest) not in sent.at]
    if news:
        send_blobs(registry, news, sent, progress, host)
    made = Crew(_Put(registry, sent), _alike).all(missing, WORKERS)
    now = dict(zip(missing, made, strict=True))
    sent.manifests += len(missing)
    return [
        Placed(
            reference=job.image.reference, repository=job.repository, tag=job.tag, digest=digest or now[job],
            sent=digest is None,
        )
        for job, digest in zip(jobs, there, strict=True)
    ]  # fmt: skip


def shared_places(
    bundles: Sequence[Opened], host: str, prefix: str
) -> Mapping[tuple[Repository, str], Mapping[Platform, BundleImage]]:
    """Bundles of several platforms -> the names that images of more than one have, with these."""
    found: dict[tuple[Repository, str], dict[Platform, BundleImage]] = {}
    for bundle in bundles:
        platform = Platform.parse(bundle.document.platform)
        for image in bundle.images:
            found.setdefault(_place(image, host, prefix), {})[platform] = image
    return {place: images for place, images in found.items() if len(images) > 1}


def site_registries(*bundles: Opened, host: str, prefix: str, plain: bool) -> str:
    """The registries.yaml with which the site's nodes find these images."""
    return registries_yaml(host, prefix, _domains(image for bundle in bundles for image in bundle.images), plain=plain)


@dataclass(frozen=True, eq=False)  # one is the same as itself alone
class _Job:
    """An image and its name in the site's registry."""

    image: BundleImage
    repository: Repository
    tag: str
    untagged: bool = False

    @property
    def blobs(self) -> list[Blob]:
        return list({blob.digest: blob for blob in (self.image.config, *self.image.layers)}.values())


def _alike(job: _Job) -> int:
    """Images are taken in their order."""
    return 0


def _digest(registry: Registry, job: _Job, seat: Seat) -> Digest | None:
    """What is under the name already, if that is the image."""
    if job.untagged:
        return registry.has_manifest(job.repository, str(job.image.manifest.digest), seat.go_on)
    found = registry.has_manifest(job.repository, job.tag, seat.go_on)
    return found if found in {one.digest for one in (job.image.manifest, job.image.kept) if one is not None} else None


@dataclass(frozen=True)
class _Put:
    """Mounts an image's blobs, then puts its manifest; what a registry does not mount is sent."""

    registry: Registry
    sent: Sent

    def __call__(self, job: _Job, seat: Seat) -> Digest:
        for blob in job.blobs:
            known = self.sent.known(job.repository, blob.digest)
            if known != job.repository:
                self.registry.push_blob(job.repository, blob.digest, blob.size, blob.read, seat.go_on, known)
        if job.image.kept is not None or job.untagged:
            put_manifest(self.registry, job.repository, job.image.manifest)
        if job.untagged:
            return job.image.manifest.digest
        return _tag(self.registry, job.repository, job.tag, job.image).digest


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
