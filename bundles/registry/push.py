"""A bundle into a registry: what is there already is not sent again, and a second push sends nothing."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from bundles import index, jsontext, oci
from bundles.crew import Crew, Seat
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.index import INDEX_NAME, BundleIndex
from bundles.region import Region
from bundles.registry import artifact
from bundles.registry.documents import EMPTY_DATA, Document
from bundles.registry.place import Repository
from bundles.registry.protocol import Read, Registry, once
from bundles.registry.referrers import attach, referrer
from bundles.registry.session import no_check
from bundles.sealed.layout import Entry
from bundles.sealed.read import SealedArchive, read_sealed
from bundles.signing import names
from bundles.source import BundleSource
from bundles.talk import Progress
from bundles.verify import check_names

WORKERS: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """Bytes that the registry shall have: `size` of them, and how to read them."""

    digest: Digest
    size: int
    read: Read


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleImage:
    """An image of a bundle: `manifest` of the platform, `kept` the whole index where the bundle keeps that."""

    reference: str
    manifest: Document
    kept: Document | None
    config: Blob
    layers: tuple[Blob, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A bundle whose structure holds, with everything in it as blobs and documents."""

    document: BundleIndex
    images: tuple[BundleImage, ...]
    files: Mapping[str, Blob]  # listed ones, bundle.json and the sums
    signatures: Mapping[str, Blob]


@dataclass(kw_only=True, slots=True)
class Sent:
    """What a push did: `digest` of what lies under the tag, blobs and bytes sent, manifests and referrers put."""

    digest: Digest
    tag: str
    blobs: int = 0
    size: int = 0
    manifests: int = 0
    referrers: int = 0
    at: dict[Digest, Repository] = field(default_factory=dict)  # where each blob is now, to mount it from


@contextlib.contextmanager
def opened_bundle(source: BundleSource) -> Iterator[Opened]:
    """A bundle to push; raises FormatError, MissingError for one whose files or archives are not as its index says."""
    data, _ = source.envelope()
    document = index.decode(data, where=f"{source.where}: {INDEX_NAME}")
    present = source.files()
    check_names(document, present, where=source.where)
    artifact.check_paths(document, where=f"{source.where}: {INDEX_NAME}")
    with contextlib.ExitStack() as stack:
        archives = [
            read_sealed(stack.enter_context(source.open(one.path)), expected=one, mtime=document.created)
            for one in document.archives
        ]
        files: dict[str, Blob] = {INDEX_NAME: Blob(digest=Digest.of(data), size=len(data), read=once(data))}
        for one in document.files:
            files[one.path] = _listed(stack.enter_context(source.open(one.path)), one)
        files |= {name: _small(source, name) for name in [index.sums_name(document.platform)]}
        signatures = {name: _small(source, name) for name in present if names.is_signature(name)}
        images = tuple(_image(archive, at) for archive in archives for at in range(len(archive.images)))
        yield Opened(document=document, images=images, files=files, signatures=signatures)


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
        push_blobs(registry, repository, _blobs(bundle), sent, progress)
        for document in (*(image.manifest for image in manifests.values()), own):
            sent.manifests += put_manifest(registry, repository, document)
        registry.push_manifest(repository, tag, top, no_check)
        sent.manifests += 1
    else:
        sent.at |= {blob.digest: repository for blob in _blobs(bundle)}
    _push_referrers(bundle, registry, repository, top, sent, progress)
    return sent


def push_blobs(registry: Registry, repository: Repository, blobs: list[Blob], sent: Sent, progress: Progress) -> None:
    """All blobs that the repository lacks, several at once; mounted from where we know them to be."""
    every = list({blob.digest: blob for blob in blobs}.values())

    def one(blob: Blob, seat: Seat) -> bool:
        known = sent.at.get(blob.digest)
        moved = registry.push_blob(repository, blob.digest, blob.size, blob.read, seat.go_on, known)
        progress.advance(blob.size)
        return moved

    progress.begin(f"pushing to {repository}", sum(blob.size for blob in every))
    moved = Crew(one, lambda blob: blob.size).all(every, WORKERS)
    progress.end()
    sent.blobs += sum(moved)
    sent.size += sum(blob.size for blob, was in zip(every, moved, strict=True) if was)
    sent.at |= {blob.digest: repository for blob in every if blob.digest not in sent.at}


def put_manifest(registry: Registry, repository: Repository, document: Document, tag: str | None = None) -> bool:
    """Puts a manifest by its digest, or under a tag, unless it is there; whether it was missing."""
    reference = tag or str(document.digest)
    if registry.has_manifest(repository, reference, no_check) == document.digest:
        return False
    registry.push_manifest(repository, reference, document, no_check)
    return True


def _blobs(bundle: Opened) -> list[Blob]:
    found = [Blob(digest=Digest.of(EMPTY_DATA), size=len(EMPTY_DATA), read=once(EMPTY_DATA))]
    found += bundle.files.values()
    for image in bundle.images:
        found += [image.config, *image.layers]
        if image.kept is not None:
            found.append(Blob(digest=image.kept.digest, size=len(image.kept.data), read=once(image.kept.data)))
    return found


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


def _image(archive: SealedArchive, at: int) -> BundleImage:
    """The image at this place of an archive, with its documents as they are there."""
    image, region = archive.images[at], archive.region
    contents = {digest: entry.content or b"" for digest, entry in archive.layout.blobs() if entry.content is not None}
    target = _index_json(archive)[at]
    kept = target.digest != image.digest
    return BundleImage(
        reference=image.reference.name,
        manifest=_document_of(contents[image.digest], oci.MANIFEST),
        kept=_document_of(contents[target.digest], oci.INDEX) if kept else None,
        config=Blob(digest=image.config, size=len(contents[image.config]), read=once(contents[image.config])),
        layers=tuple(
            Blob(digest=layer.digest, size=layer.entry.size, read=_read(region, layer.entry, layer.digest))
            for layer in image.layers
        ),
    )


def _index_json(archive: SealedArchive) -> list[oci.Descriptor]:
    (content,) = (entry.content for entry in archive.layout.entries if entry.name == "index.json")
    return jsontext.decode(content or b"", oci.Index, where=archive.region.where).manifests


def _document_of(data: bytes, usual: str) -> Document:
    """A manifest or index of an archive; old ones do not say their own media type."""
    said = jsontext.decode(data, _Said, where="archive").mediaType
    return Document(data=data, digest=Digest.of(data), media_type=said or usual)


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    mediaType: str = ""


def _listed(region: Region, file: index.File) -> Blob:
    if region.size != file.size:
        raise FormatError(
            "another size than bundle.json says", where=region.where, got=region.size, want=f"{file.size} bytes"
        )
    return Blob(
        digest=file.sha256,
        size=file.size,
        read=_read(region, Entry(name=file.path, offset=0, size=file.size), file.sha256),
    )


def _small(source: BundleSource, name: str) -> Blob:
    with source.open(name) as region:
        data = region.read(0, region.size)
    return Blob(digest=Digest.of(data), size=len(data), read=once(data))


def _read(region: Region, place: Entry, digest: Digest) -> Read:
    """A stretch of a file as a blob; its last bytes leave only if all of it has the digest."""

    def read(offset: int) -> Iterator[bytes]:
        found, left = hashlib.sha256(), place.size - offset
        for data in region.chunks(place.offset + offset, left):
            found.update(data)
            left -= len(data)
            if not (offset or left) and found.hexdigest() != digest.hex:
                got = f"sha256:{found.hexdigest()}"
                raise FormatError("damaged", where=f"{region.where}: {place.name}", got=got, want=digest)
            yield data

    return read
