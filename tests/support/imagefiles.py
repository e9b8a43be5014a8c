"""The files in the images of a bundle, read by nothing of ours but the index: tarfile and a zstd library."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from backports import zstd

from bundles import index, jsontext
from bundles.index import Archive


def image_files(bundle: Path) -> Iterator[tuple[str, str, str, bytes | None]]:
    """Image, path, sha256 and, for small ones, content of every regular file in the layers of a bundle's images."""
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    for archive in document.archives:
        names = {str(image.digest): image.reference for image in document.images if image.archive == archive.path}
        for digest, name in names.items():
            manifest = jsontext.decode_plain(_blob(bundle, archive, digest), where=name)
            for layer in manifest["layers"]:
                data = zstd.decompress(_blob(bundle, archive, layer["digest"]))
                for path, content in _files(data):
                    small = content if len(content) < 1 << 16 else None
                    yield name, path, hashlib.sha256(content).hexdigest(), small


def _blob(bundle: Path, archive: Archive, digest: str) -> bytes:
    (blob,) = (each for each in archive.blobs if str(each.digest) == digest)
    with (bundle / archive.path).open("rb") as file:
        file.seek(blob.offset)
        return file.read(blob.size)


def _files(layer: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as archive:
        for member in archive:
            if member.isreg() and (file := archive.extractfile(member)) is not None:
                yield member.name, file.read()
