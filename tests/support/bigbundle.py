"""Bundles of any size that do not compress, made in seconds by the real writer: little else decides what readers cost.

Nothing of them is ever in memory as a whole: bodies are noise that is made as it is read, frames lie on disk.
`python -m tests.support.bigbundle FOLDER BYTES` makes one: a bench's own memory counts for what it starts.
"""

import contextlib
import io
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from bundles import index
from bundles.digest import Digest
from bundles.files import HashingWriter
from bundles.layers.build import build_layer
from bundles.layers.model import BodyFrames, FramedLayer, FrameKey, LayerEntry
from bundles.layers.plan import plan_layer
from tests.support.releases import AMD64, CHART, FIRST, describe, program
from tests.support.sealed import EPOCH, MadeArchive, make_image, seal

LAYER: Final = 256_000_000  # bytes of content of a layer, at most
_BLOCK: Final = 64 << 20  # bytes: beyond the window of `zstd --long=25` too, so nobody sees a repetition


class Noise(io.RawIOBase):
    """A program of `size` bytes: an ELF header, then noise."""

    def __init__(self, block: bytes, size: int) -> None:
        """`block` of noise, repeated."""
        self._head, self._block, self._size, self._at = program(), block, size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """At most to the end of the block."""
        view = memoryview(buffer).cast("B")
        source, start = (self._head, self._at) if self._at < len(self._head) else (self._block, self._at % _BLOCK)
        piece = source[start : start + min(len(view), self._size - self._at)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


class DiskStore:
    """Body source, sink and frame cache of the layer writer: one big body, frames in files."""

    def __init__(self, folder: Path, size: int) -> None:
        """`size` of the big body in bytes."""
        self._folder, self.size = folder, size
        self._noise = random.Random(size).randbytes(_BLOCK)
        self._frames: dict[FrameKey, BodyFrames] = {}
        hashed = HashingWriter(cast(BinaryIO, _Nothing()))
        with self._body() as body:
            while data := body.read(1 << 20):
                hashed.write(data)
        self.big = hashed.digest

    def add(self, data: bytes) -> Digest:
        """Keeps a small body."""
        (self._folder / Digest.of(data).hex).write_bytes(data)
        return Digest.of(data)

    def open(self, digest: Digest) -> BinaryIO:
        return self._body() if digest == self.big else (self._folder / digest.hex).open("rb")

    def _body(self) -> BinaryIO:
        return io.BufferedReader(Noise(self._noise, self.size), 1 << 20)

    @contextlib.contextmanager
    def writing(self) -> Iterator[HashingWriter]:
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            writer = HashingWriter(cast(BinaryIO, file))
            yield writer
        Path(file.name).rename(self._folder / writer.digest.hex)

    def get(self, key: FrameKey) -> BodyFrames | None:
        return self._frames.get(key)

    def put(self, key: FrameKey, frames: BodyFrames) -> None:
        self._frames[key] = frames


class _Nothing(io.RawIOBase):
    def write(self, data: Any) -> int:
        return memoryview(data).nbytes


def big_bundle(parent: Path, size: int) -> Path:
    """Writes a classic bundle of about `size` bytes (a quarter of them the runtime image's) -> its folder."""
    folder = parent / index.folder_name(name="rke2", version=FIRST, flavour="classic", platform=str(AMD64))
    for part in ("images", "lists"):
        (folder / part).mkdir(parents=True)
    layers = max(8, -(-size // LAYER) // 4 * 4)
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        store = DiskStore(Path(scratch), size // layers)
        made = {
            "rke2-runtime": _archive(folder, "rke2-runtime", f"{FIRST}-classic", range(layers // 4), store),
            "rke2-images-core": _archive(folder, "rke2-images-core", FIRST, range(layers // 4, layers), store),
        }
    describe(folder, FIRST, made, 1, AMD64)
    return folder


def _archive(folder: Path, name: str, tag: str, numbers: range, store: DiskStore, /) -> MadeArchive:
    layers = [_layer(number, store, with_chart=number == numbers[0]) for number in numbers]
    image = make_image(f"docker.io/rancher/{name}:{tag}", layers, platform=AMD64)
    path = folder / f"images/{name}.{AMD64.dashed}.tar"
    return seal(path, [image], {layer.digest: layer for layer in layers}, store.open)


def _layer(number: int, store: DiskStore, *, with_chart: bool) -> FramedLayer:
    big = LayerEntry(path=f"bin/program-{number}", kind="file", mode=0o755, size=store.size, digest=store.big)
    chart = LayerEntry(path="charts/small.yaml", kind="file", mode=0o644, size=len(CHART), digest=store.add(CHART))
    entries = [big, chart] if with_chart else [big]
    return build_layer(plan_layer(entries, EPOCH), store, store, store, level=1, workers=2)


if __name__ == "__main__":
    print(big_bundle(Path(sys.argv[1]), int(sys.argv[2])))
