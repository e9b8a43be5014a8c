"""What lies beside an image in its registry: cosign's signatures and attestations, and whatever refers to it.

Collected as it is, into the store; who signed it is the policy's question (builder.mirror.upstream).
"""

from collections.abc import Iterator
from typing import Final

from builder.lock.images import LockedBlob, LockedEvidence, LockedImage
from builder.mirror.remote import fetch_small, repository_of, source_of
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError
from bundles.registry.documents import Document, read_manifest
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.registry.wire import Check

TAGS: Final = ("sig", "att", "sbom")  # cosign's, after `sha256-HEX.` (sigstore/cosign specs)
MAX_BLOB: Final = 32 << 20  # bytes of an attestation; SBOMs of large images have some
MAX_EACH: Final = 256  # of one image


def collect(registry: Registry, locked: LockedImage, store: Store, check: Check) -> tuple[LockedEvidence, ...]:
    """All that lies beside a mirrored image today, in the store; sorted. Raises what the registry client raises."""
    repository = repository_of(source_of(locked))
    found = [one for subject in locked.signed for one in _beside(registry, repository, subject, store, check)]
    if len(found) > MAX_EACH:
        raise LimitError("too much beside an image", where=locked.source, got=len(found), want=f"<= {MAX_EACH}")
    return tuple(sorted(found, key=lambda one: (one.subject, one.tag, one.manifest.digest)))


def bring(registry: Registry, locked: LockedImage, store: Store, check: Check) -> None:
    """What the lock pins beside an image, into the store."""
    repository = repository_of(source_of(locked))
    for one in locked.evidence:
        if not store.has(one.manifest.digest, one.manifest.size):
            store.put(registry.manifest(repository, str(one.manifest.digest), check).data)
        _bring_blobs(registry, repository, one.blobs, store, check)


def missing(locked: LockedImage, store: Store) -> bool:
    """Whether the store lacks something of what the lock pins beside an image."""
    blobs = (blob for one in locked.evidence for blob in (one.manifest, *one.blobs))
    return not all(store.has(blob.digest, blob.size) for blob in blobs)


def _beside(
    registry: Registry, repository: Repository, subject: Digest, store: Store, check: Check
) -> Iterator[LockedEvidence]:
    for ending in TAGS:
        tag = f"sha256-{subject.hex}.{ending}"
        try:
            document = registry.manifest(repository, tag, check)
        except MissingError:
            continue
        yield _kept(registry, repository, subject, document, tag, store, check)
    for listed in registry.referrers(repository, subject, check):
        try:
            document = registry.manifest(repository, str(listed.digest), check)
        except MissingError:
            continue  # listed by hand, and gone
        yield _kept(registry, repository, subject, document, "", store, check)


def _kept(
    registry: Registry, repository: Repository, subject: Digest, document: Document, tag: str, store: Store,
    check: Check,
) -> LockedEvidence:  # fmt: skip
    where = f"{repository}: {tag or document.digest}"
    if document.is_index:
        raise FormatError("an index where a signature must be", where=where)
    manifest = read_manifest(document, where=where)
    blobs = {one.digest: LockedBlob(size=one.size, digest=one.digest) for one in (manifest.config, *manifest.layers)}
    store.put(document.data)
    _bring_blobs(registry, repository, tuple(blobs.values()), store, check)
    pinned = LockedBlob(size=len(document.data), digest=document.digest, type=document.media_type)
    return LockedEvidence(subject=subject, tag=tag, manifest=pinned, blobs=tuple(blobs.values()))


def _bring_blobs(
    registry: Registry, repository: Repository, blobs: tuple[LockedBlob, ...], store: Store, check: Check
) -> None:
    for blob in blobs:
        if not store.has(blob.digest, blob.size):
            store.put(fetch_small(registry, repository, blob, check, MAX_BLOB))
