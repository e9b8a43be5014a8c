"""A bundle on disk, opened as what a registry keeps: documents and blobs, each checked as it is read."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from bundles import index, jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.index import INDEX_NAME, BundleIndex
from bundles.region import Region
from bundles.registry import artifact
from bundles.registry.documents import EMPTY_DATA, Document
from bundles.registry.protocol import Read, once
from bundles.sealed.layout import Entry
from bundles.sealed.read import SealedArchive, read_sealed
from bundles.signing import names
from bundles.source import BundleSource
from bundles.verify import check_names


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


def blobs_of(bundle: Opened) -> list[Blob]:
    """Everything of a bundle that is a blob in its repository."""
    found = [Blob(digest=Digest.of(EMPTY_DATA), size=len(EMPTY_DATA), read=once(EMPTY_DATA))]
    found += bundle.files.values()
    for image in bundle.images:
        found += [image.config, *image.layers]
        if image.kept is not None:
            found.append(Blob(digest=image.kept.digest, size=len(image.kept.data), read=once(image.kept.data)))
    return found


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
