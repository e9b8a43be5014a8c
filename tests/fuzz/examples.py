"""Good examples of what the readers read, made by the real writers, and small: what a mutation changes must matter."""

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bundles import oci
from bundles.digest import Digest
from bundles.framed import ZstdLayer
from bundles.pack import pack
from bundles.reference import Reference
from bundles.region import Region
from bundles.sealed.documents import make_config, make_manifest
from bundles.sealed.layout import lay_out
from bundles.sealed.opened import SealedImage, descriptor
from bundles.sealed.write import write_archive
from tests.support import tars
from tests.support.foreign import AMD64, NAME
from tests.support.releases import program, release
from tests.support.sealed import EPOCH, Content, MemoryStore, make_archive, make_layer

FILES: Mapping[str, Content] = {
    "bin/kubelet": program(b"kubelet"),
    "bin/link": "kubelet",
    "charts/" + "long" * 26: b"x",  # needs a PAX record
    "lib": None,
}


@contextlib.contextmanager
def region_of(data: bytes) -> Iterator[Region]:
    """Bytes as a region of a file in memory."""
    fd = os.memfd_create("fuzz")
    try:
        os.write(fd, data)
        yield Region(fd=fd, start=0, size=len(data), where="input")
    finally:
        os.close(fd)


@functools.cache
def framed_layer() -> bytes:
    """A layer in zstd frames with its seek table; one body has frames of its own."""
    return make_layer({**FILES, "bin/big": program(bytes(range(256)) * 300)})[1]


@functools.cache
def plain_layer() -> bytes:
    """The tar of a layer, as the writer makes it."""
    return b"".join(ZstdLayer([make_layer(FILES)[1]], "example").content())


@functools.cache
def sealed_framed() -> bytes:
    """A sealed archive of the runtime image."""
    with tempfile.TemporaryDirectory() as folder:
        return make_archive(Path(folder, "a.tar"), {NAME: FILES}).path.read_bytes()


@functools.cache
def sealed_plain() -> bytes:
    """The same with an uncompressed layer: a mutation in it is a mutation of its entries."""
    store, layer = MemoryStore(), plain_layer()
    digest = store.add(layer)
    config = make_config(platform=AMD64, created=EPOCH, layers=[(digest, "fuzz")])
    manifest = make_manifest(config, [descriptor(oci.LAYER_TAR, digest, len(layer))])
    image = SealedImage(reference=Reference.parse(NAME), manifest=manifest, config=config)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "a.tar")
        write_archive(lay_out([image], EPOCH), target, lambda _: (), store.open)
        return target.read_bytes()


@functools.cache
def packed() -> tuple[bytes, bytes]:
    """bundle.json of a small bundle, and its `.sealift` file."""
    with tempfile.TemporaryDirectory() as folder:
        made = release(Path(folder), programs={"kubelet": program(b"k")})
        pack(made, Path(folder, "b.sealift"))
        return (made / "bundle.json").read_bytes(), Path(folder, "b.sealift").read_bytes()


@functools.cache
def foreign() -> Mapping[str, bytes]:
    """Archives as docker of both ages writes them, by name."""
    image = tars.image(plain_layer(), tars.tar(tars.member("bin/.wh.link"), tars.member("bin/x", program(b"x"))))
    packed_image = tars.image(plain_layer(), compress="gzip")
    files = tars.documents(image, [NAME])
    return {
        "new docker": tars.new_docker(image, NAME),
        "gzip layers": tars.new_docker(packed_image, NAME),
        "old docker": tars.old_docker(image, [NAME]),
        "docker alone": tars.archive(tars.documents(image, [NAME], layout=False)),
        "layout alone": tars.archive(tars.documents(image, [NAME], docker=False)),
        "documents last": tars.archive(reversed(list(files.items()))),
    }


def digest_of(text: str) -> str:
    """Some digest."""
    return str(Digest.of(text.encode()))
