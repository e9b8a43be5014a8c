"""An archive as RKE2 makes its releases: all images as one OCI layout of gzip layers, then `zstd -T0 -16 --long=25`."""

import gzip
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bundles import oci
from bundles.digest import Digest
from bundles.files import HashingWriter
from bundles.framed import ZstdLayer
from bundles.region import open_region
from bundles.sealed.layout import blob_name
from bundles.sealed.read import OpenedImage, SealedArchive, SealedLayer, read_sealed

LEVEL = 6  # of gzip, as images are pushed
_PACK = """
tar -C "$1" -cf - blobs index.json oci-layout manifest.json | zstd -q -T0 -16 --long=25 -f -o "$2"
"""
Plain = dict[str, Any]


def release_archive(sealed: Sequence[Path], target: Path, *, gzip_levels: Mapping[str, int] | None = None) -> Path:
    """All images of sealed archives -> `target` (`.tar.zst`), the same content in RKE2's form.

    `gzip_levels`: file names of archives whose layers are worth less time.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        release_layout(sealed, Path(scratch), gzip_levels=gzip_levels)
        subprocess.run(pack_command(Path(scratch), target), check=True)
    return target


def release_layout(sealed: Sequence[Path], layout: Path, *, gzip_levels: Mapping[str, int] | None = None) -> None:
    """All images of sealed archives -> an OCI layout of gzip layers in the empty folder `layout`."""
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)
    described = [one for path in sealed for one in _images(path, blobs, (gzip_levels or {}).get(path.name, LEVEL))]
    index = {"schemaVersion": 2, "manifests": [descriptor for descriptor, _ in described]}
    (layout / "oci-layout").write_bytes(oci.LAYOUT_FILE)
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "manifest.json").write_text(json.dumps([image for _, image in described]))


def pack_command(layout: Path, target: Path) -> tuple[str | Path, ...]:
    """The command that makes one `.tar.zst` of a layout; docker save writes manifest.json last."""
    return ("sh", "-ec", _PACK, "sh", layout, target)


def _images(path: Path, blobs: Path, level: int) -> Iterator[tuple[Plain, Plain]]:
    """Each image of one archive: its descriptor in index.json, its object in manifest.json."""
    with open_region(path) as region:
        archive = read_sealed(region)
        for image in archive.images:
            with ThreadPoolExecutor(2) as pool:
                layers = list(pool.map(lambda layer: _gzipped(archive, layer, blobs, level), image.layers))
            yield _described(archive, image, layers, blobs)


def _gzipped(archive: SealedArchive, layer: SealedLayer, blobs: Path, level: int) -> Plain:
    chunks = archive.region.chunks(layer.entry.offset, layer.entry.size)
    temp = blobs / f"{layer.digest.hex}.part"
    with temp.open("wb") as file:
        writer = HashingWriter(file)
        # typeshed wants a file that can be read, too
        with gzip.GzipFile(fileobj=writer, mode="wb", compresslevel=level, mtime=0) as packed:  # type: ignore[call-overload]
            for piece in ZstdLayer(chunks, str(layer.digest)).content():
                packed.write(piece)
    temp.rename(blobs / writer.digest.hex)
    return {"mediaType": oci.LAYER_GZIP, "digest": str(writer.digest), "size": writer.size}


def _described(archive: SealedArchive, image: OpenedImage, layers: list[Plain], blobs: Path) -> tuple[Plain, Plain]:
    (config,) = {entry.content for digest, entry in archive.layout.blobs() if digest == image.config}
    assert config is not None
    _keep(blobs, config)
    described = {"mediaType": oci.CONFIG, "digest": str(image.config), "size": len(config)}
    manifest = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": described, "layers": layers}
    data = json.dumps(manifest).encode()
    name = image.reference.name
    descriptor = {
        "mediaType": oci.MANIFEST,
        "digest": str(_keep(blobs, data)),
        "size": len(data),
        "annotations": {oci.ANNOTATION_IMAGE_NAME: name, oci.ANNOTATION_REF_NAME: str(image.reference.tag)},
    }
    names = [blob_name(Digest.parse(layer["digest"])) for layer in layers]
    return descriptor, {"Config": blob_name(image.config), "RepoTags": [name], "Layers": names}


def _keep(blobs: Path, data: bytes) -> Digest:
    digest = Digest.of(data)
    (blobs / digest.hex).write_bytes(data)
    return digest
