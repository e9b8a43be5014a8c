"""Images as registries have them: resolved when they are locked, their documents brought by digest afterwards."""

from collections.abc import Callable, Iterable
from typing import Final

from builder.lock.images import LockedBlob, LockedImage
from builder.lock.imagetext import MIRROR
from builder.mirror.documents import check_config, check_kinds
from builder.recipe.taken import MirrorImage
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.registry.documents import Document, RemoteDescriptor, choose, read_index, read_manifest
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.registry.wire import Check

MAX_CONFIG: Final = 8 << 20  # bytes, as sealed.read bounds documents


def repository_of(reference: Reference) -> Repository:
    """Where an image lies."""
    return Repository(host=reference.domain, path=reference.repository)


def source_of(locked: LockedImage) -> Reference:
    """What a mirrored image was locked from."""
    return Reference.parse(locked.source.removeprefix(MIRROR))


def resolve_image(
    registry: Registry, image: MirrorImage, platform: Platform, put: Callable[[bytes], object], check: Check,
    pinned: LockedImage | None = None,
) -> LockedImage:  # fmt: skip
    """Asks the registry which image it is today; its documents are given to `put`, layers are not fetched.

    `pinned`: what is locked of it for this platform; returned as it is when the tag still stands for that.

    Raises MissingError for no such image or platform; FormatError for what is no container image, for foreign layers,
    for a config that is not its manifest's; SealiftError for registries that do not answer.
    """
    repository, where = repository_of(image.source), image.source.name
    asked = str(image.source.digest) if image.source.digest else str(image.source.tag)
    top = registry.manifest(repository, asked, check)
    if pinned is not None and top.digest == (pinned.index or pinned.manifest).digest:
        return pinned
    chosen = top
    if top.is_index:
        listed = choose(read_index(top, where=where).manifests, platform, where=where)
        chosen = registry.manifest(repository, str(listed.digest), check)
    manifest = read_manifest(chosen, where=where)
    check_kinds(manifest, where)
    config = fetch_small(registry, repository, _locked(manifest.config), check)
    check_config(config, manifest, platform, where)
    for data in (top.data, chosen.data, config):
        put(data)
    return LockedImage(
        image=image.name,
        source=f"{MIRROR}{image.source.name}",
        platform=str(platform),
        index=_document(top) if top.is_index else None,
        manifest=_document(chosen),
        config=_locked(manifest.config),
        layers=tuple(map(_locked, manifest.layers)),
    )


def bring_documents(registry: Registry, locked: LockedImage, store: Store, check: Check) -> None:
    """Brings what the store lacks of index, manifest and config; each has the locked digest, or raises FormatError."""
    repository = repository_of(source_of(locked))
    for blob in missing_documents(locked, store):
        if blob.type:
            document = registry.manifest(repository, str(blob.digest), check)
            if len(document.data) != blob.size:
                raise FormatError("another size than the lock says", where=blob.digest, got=len(document.data))
            store.put(document.data)
        else:
            store.put(fetch_small(registry, repository, blob, check))


def missing_documents(locked: LockedImage, store: Store) -> list[LockedBlob]:
    """What the store lacks of an image's documents."""
    return [blob for blob in locked.documents if not store.has(blob.digest, blob.size)]


def fetch_small(
    registry: Registry, repository: Repository, blob: LockedBlob, check: Check, limit: int = MAX_CONFIG
) -> bytes:
    """A blob of at most `limit` bytes, into memory; raises LimitError for a larger one."""
    if blob.size > limit:
        raise LimitError("document too large", where=f"{repository}: {blob.digest}", got=blob.size, want=f"<= {limit}")
    data = bytearray()

    def write(part: bytes, offset: int) -> None:
        data[offset:] = part

    registry.fetch(repository, blob.digest, blob.size, write, check)
    return bytes(data)


def repositories(images: Iterable[LockedImage]) -> dict[Digest, Repository]:
    """Layer -> a repository that has it, for all mirrored images."""
    return {
        layer.digest: repository_of(source_of(each))
        for each in images
        if each.source.startswith(MIRROR)
        for layer in each.layers
    }


def _locked(one: RemoteDescriptor) -> LockedBlob:
    return LockedBlob(size=one.size, digest=one.digest)


def _document(one: Document) -> LockedBlob:
    return LockedBlob(size=len(one.data), digest=one.digest, type=one.media_type)
