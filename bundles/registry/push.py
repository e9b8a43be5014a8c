"""A bundle into a registry: what is there already is not sent again, and a second push sends nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bundles.crew import Crew, Seat
from bundles.digest import Digest
from bundles.registry import artifact
from bundles.registry.documents import Document
from bundles.registry.opened import Blob, Opened, blobs_of
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.registry.referrers import attach, referrer
from bundles.registry.session import no_check
from bundles.signing import names
from bundles.talk import Progress

WORKERS: Final = 8


@dataclass(kw_only=True, slots=True)
class Sent:
    """What a push did: `digest` of what lies under the tag, blobs and bytes sent, manifests and referrers put.

    `at`: where each blob is now, by registry: from there it can be mounted.
    """

    digest: Digest
    tag: str
    blobs: int = 0
    size: int = 0
    manifests: int = 0
    referrers: int = 0
    at: dict[tuple[str, Digest], Repository] = field(default_factory=dict)

    def known(self, repository: Repository, digest: Digest) -> Repository | None:
        """A repository of the same registry that has the blob."""
        return self.at.get((repository.host, digest))

    def note(self, repository: Repository, digest: Digest) -> None:
        """It is there now."""
        self.at.setdefault((repository.host, digest), repository)


def push_bundle(
    bundle: Opened, registry: Registry, repository: Repository, tag: str | None, progress: Progress
) -> Sent:
    """Puts the bundle under `tag` (None: its version's), with its signatures, SBOMs and provenance as referrers."""
    tag = tag or artifact.default_tag(bundle.document)
    layers = [artifact.file_descriptor(path, blob.digest, blob.size) for path, blob in bundle.files.items()]
    sparse = {image.kept.digest: image.kept.descriptor() for image in bundle.images if image.kept is not None}
    own = artifact.bundle_manifest(layers, sparse.values())
    manifests = {image.manifest.digest: image for image in bundle.images}
    listed = [
        artifact.image_descriptor(image.reference, image.manifest.media_type, digest, len(image.manifest.data))
        for digest, image in manifests.items()
    ]
    top = artifact.bundle_index(own, listed, bundle.document)
    sent = Sent(digest=top.digest, tag=tag)
    if registry.has_manifest(repository, tag, no_check) != top.digest:
        push_blobs(registry, repository, blobs_of(bundle), sent, progress)
        documents = [*(image.manifest for image in manifests.values()), own]
        put = Crew(lambda one, seat: put_manifest(registry, repository, one), _size_of)
        sent.manifests += sum(put.all(documents, WORKERS))
        registry.push_manifest(repository, tag, top, no_check)
        sent.manifests += 1
    else:
        for blob in blobs_of(bundle):
            sent.note(repository, blob.digest)
    _push_referrers(bundle, registry, repository, top, sent, progress)
    return sent


def push_blobs(registry: Registry, repository: Repository, blobs: list[Blob], sent: Sent, progress: Progress) -> None:
    """All blobs that the repository lacks, several at once; mounted from where we know them to be."""
    every = list({blob.digest: blob for blob in blobs}.values())
    send_blobs(registry, [(blob, repository) for blob in every], sent, progress, str(repository))


def send_blobs(
    registry: Registry, jobs: Sequence[tuple[Blob, Repository]], sent: Sent, progress: Progress, what: str
) -> None:
    """Blobs to their repositories, each pair once, several at once; `what` names the work."""

    def one(job: tuple[Blob, Repository], seat: Seat) -> bool:
        blob, repository = job
        known = sent.known(repository, blob.digest)
        moved = registry.push_blob(repository, blob.digest, blob.size, blob.read, seat.go_on, known)
        progress.advance(blob.size)
        return moved

    progress.begin(f"pushing to {what}", sum(blob.size for blob, _ in jobs))
    moved = Crew(one, lambda job: job[0].size).all(jobs, WORKERS)
    progress.end()
    for (blob, repository), was_sent in zip(jobs, moved, strict=True):
        sent.note(repository, blob.digest)
        sent.blobs += was_sent
        sent.size += blob.size * was_sent


def _size_of(document: Document) -> int:
    return len(document.data)


def put_manifest(registry: Registry, repository: Repository, document: Document, tag: str | None = None) -> bool:
    """Puts a manifest by its digest, or under a tag, unless it is there; whether it was missing."""
    reference = tag or str(document.digest)
    if registry.has_manifest(repository, reference, no_check) == document.digest:
        return False
    registry.push_manifest(repository, reference, document, no_check)
    return True


def _push_referrers(
    bundle: Opened, registry: Registry, repository: Repository, top: Document, sent: Sent, progress: Progress
) -> None:
    """What is said about the bundle: signatures with their names, and SBOMs and provenance under their own types."""
    made: list[tuple[str, Document]] = []
    new: list[Blob] = []
    for path, blob in {**bundle.files, **bundle.signatures}.items():
        kind = artifact.SIGNATURE if path in bundle.signatures else artifact.media_type(path)
        if path in bundle.signatures or path in names.ATTESTED:
            layer = artifact.file_descriptor(path, blob.digest, blob.size)
            made.append((kind, referrer(top.descriptor(), kind, [layer])))
            new += [blob] if path in bundle.signatures else []
    if new:
        push_blobs(registry, repository, new, sent, progress)
    sent.referrers = attach(registry, repository, top.descriptor(), made, no_check)
