"""A whole, valid bundle without one of its images: what a release looks like when somebody forgot one."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

import msgspec

from bundles import index
from bundles.digest import Digest
from bundles.files import write_atomic
from bundles.index import Archive, BundleIndex
from bundles.layers.model import Part
from bundles.region import Region
from bundles.sealed.layout import index_blobs, lay_out
from bundles.sealed.opened import SealedImage
from bundles.sealed.read import read_sealed
from bundles.sealed.write import write_archive
from bundles.sums import sums_text


def without_image(bundle: Path, parent: Path, word: str) -> tuple[Path, str]:
    """Writes the bundle below `parent` without the image whose reference has `word` -> its folder, the reference."""
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    (gone,) = [image for image in document.images if word in image.reference]
    folder = parent / bundle.name
    shutil.copytree(bundle, folder, copy_function=os.link)
    (archive,) = [archive for archive in document.archives if archive.path == gone.archive]
    (folder / archive.path).unlink()
    smaller = _rewrite(bundle / archive.path, folder / archive.path, archive, gone.reference)
    changed = msgspec.structs.replace(
        document,
        archives=[smaller if one is archive else one for one in document.archives],
        images=[image for image in document.images if image is not gone],
        files=[_shorter(folder, file, gone.reference) for file in document.files],
    )
    _seal(folder, changed)
    return folder, gone.reference


def _rewrite(source: Path, target: Path, archive: Archive, reference: str) -> Archive:
    with source.open("rb") as file:
        region = Region(fd=file.fileno(), start=0, size=archive.size, where=str(source))
        sealed = read_sealed(region, expected=archive)
        documents = {entry.digest: entry.content for entry in sealed.layout.entries if entry.content is not None}
        kept = [
            SealedImage(
                reference=image.reference,
                manifest=documents[image.digest] or b"",
                config=documents[image.config] or b"",
            )
            for image in sealed.images
            if image.reference.name != reference
        ]
        layout = lay_out(kept, sealed.layout.mtime)
    places = {blob.digest: Part(digest=blob.digest, offset=blob.offset, size=blob.size) for blob in archive.blobs}
    frames = {blob.digest: blob.frames for blob in archive.blobs}

    def parts_of(digest: Digest) -> tuple[Part, ...]:
        return (places[digest],)

    def open_blob(digest: Digest) -> BinaryIO:
        return source.open("rb")

    written = write_archive(layout, target, parts_of, open_blob)
    return Archive(
        path=archive.path,
        size=written.size,
        sha256=written.sha256,
        images=[image.reference.name for image in kept],
        blobs=index_blobs(layout, frames.get),
    )


def _shorter(folder: Path, file: index.File, reference: str) -> index.File:
    path = folder / file.path
    text = path.read_text() if file.path.startswith("lists/") else ""
    if reference not in text:
        return file
    data = text.replace(f"{reference}\n", "").encode()
    path.unlink()
    return index.File(path=file.path, size=len(data), sha256=write_atomic(path, data))


def _seal(folder: Path, document: BundleIndex) -> None:
    for name in (index.INDEX_NAME, index.sums_name(document.platform)):
        (folder / name).unlink()
    digest = write_atomic(folder / index.INDEX_NAME, index.encode(document))
    write_atomic(folder / index.sums_name(document.platform), sums_text(document, digest).encode())
