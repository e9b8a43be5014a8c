"""Small layers and sealed archives for tests, made by the real writer over a store in memory."""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bundles import index, oci
from bundles.digest import Digest
from bundles.errors import MissingError
from bundles.files import HashingWriter
from bundles.layers.build import build_layer
from bundles.layers.model import BodyFrames, FramedLayer, FrameKey, LayerEntry
from bundles.layers.plan import plan_layer
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.sealed.documents import make_config, make_manifest
from bundles.sealed.layout import SealedLayout, index_blobs, lay_out
from bundles.sealed.opened import SealedImage
from bundles.sealed.write import write_archive

EPOCH = 1_700_000_000
AMD64 = Platform(os="linux", architecture="amd64")

# What stands at a path: content (0755 below bin/, else 0644), (content, mode), a symlink's target, None: a directory.
Content = bytes | tuple[bytes, int] | str | None


@dataclass
class MemoryStore:
    """Blobs and compressed frames in memory: body source, sink and frame cache of the layer writer."""

    blobs: dict[Digest, bytes] = field(default_factory=dict)
    frames: dict[FrameKey, BodyFrames] = field(default_factory=dict)
    hits: int = 0

    def add(self, data: bytes) -> Digest:
        digest = Digest.of(data)
        self.blobs[digest] = data
        return digest

    def open(self, digest: Digest) -> BinaryIO:
        if digest not in self.blobs:
            raise MissingError("not in the store", where=digest)
        return io.BytesIO(self.blobs[digest])

    @contextlib.contextmanager
    def writing(self) -> Iterator[HashingWriter]:
        buffer = io.BytesIO()
        writer = HashingWriter(buffer)
        yield writer
        self.blobs[writer.digest] = buffer.getvalue()

    def get(self, key: FrameKey) -> BodyFrames | None:
        found = self.frames.get(key)
        self.hits += found is not None
        return found

    def put(self, key: FrameKey, frames: BodyFrames) -> None:
        assert frames.blob in self.blobs
        self.frames[key] = frames

    def read(self, layer: FramedLayer) -> bytes:
        """The layer's compressed bytes."""
        return b"".join(self.blobs[part.digest][part.offset : part.offset + part.size] for part in layer.parts)


def entries_of(store: MemoryStore, files: Mapping[str, Content]) -> list[LayerEntry]:
    """Paths -> entries, their content put into the store."""
    entries = []
    for path, content in files.items():
        if content is None:
            entries.append(LayerEntry(path=path, kind="dir", mode=0o755))
        elif isinstance(content, str):
            entries.append(LayerEntry(path=path, kind="symlink", mode=0o777, target=content))
        else:
            default = 0o755 if path.startswith("bin/") else 0o644
            data, mode = content if isinstance(content, tuple) else (content, default)
            entries.append(LayerEntry(path=path, kind="file", mode=mode, size=len(data), digest=store.add(data)))
    return entries


def make_layer(
    files: Mapping[str, Content],
    store: MemoryStore | None = None,
    *,
    mtime: int = EPOCH,
    level: int = 1,
    workers: int = 1,
) -> tuple[FramedLayer, bytes]:
    """Paths and contents -> the layer and its compressed bytes."""
    store = store or MemoryStore()
    plan = plan_layer(entries_of(store, files), mtime)
    layer = build_layer(plan, store, store, store, level=level, workers=workers)
    return layer, store.read(layer)


def layer_descriptor(layer: FramedLayer) -> oci.Descriptor:
    return oci.Descriptor(media_type=oci.LAYER_ZSTD, digest=layer.digest, size=layer.size)


def make_image(
    reference: str, layers: Sequence[FramedLayer], *, platform: Platform = AMD64, created: int = EPOCH
) -> SealedImage:
    """Layers, lowest first -> an image of them."""
    config = make_config(platform=platform, created=created, layers=[(layer.diff_id, "test") for layer in layers])
    manifest = make_manifest(config, [layer_descriptor(layer) for layer in layers])
    return SealedImage(reference=Reference.parse(reference), manifest=manifest, config=config)


@dataclass(frozen=True)
class MadeArchive:
    """An archive written for a test, and all that is known of it. `layers` by the layer's digest."""

    path: Path
    size: int
    sha256: Digest
    blobs: list[index.Blob]
    images: list[SealedImage]
    layout: SealedLayout
    layers: dict[Digest, FramedLayer]

    def index_archive(self, folder: Path | None = None) -> index.Archive:
        """As bundle.json lists it; its path relative to `folder` (the archive's own when left out)."""
        return index.Archive(
            path=self.path.relative_to(folder or self.path.parent).as_posix(),
            size=self.size,
            sha256=self.sha256,
            images=[image.reference.name for image in self.images],
            blobs=self.blobs,
        )


def make_archive(
    path: Path,
    images: Mapping[str, Mapping[str, Content] | Sequence[Mapping[str, Content]]],
    *,
    platform: Platform = AMD64,
    mtime: int = EPOCH,
    level: int = 1,
) -> MadeArchive:
    """`{reference: files}`, or a list of such files for more than one layer -> a sealed archive at `path`."""
    store = MemoryStore()
    layers: dict[Digest, FramedLayer] = {}
    made = []
    for reference, content in images.items():
        stack = [content] if isinstance(content, Mapping) else content
        built = [make_layer(files, store, mtime=mtime, level=level)[0] for files in stack]
        layers |= {layer.digest: layer for layer in built}
        made.append(make_image(reference, built, platform=platform, created=mtime))
    return seal(path, made, layers, store.open, mtime=mtime)


def seal(
    path: Path,
    images: list[SealedImage],
    layers: dict[Digest, FramedLayer],
    open_blob: Callable[[Digest], BinaryIO],
    *,
    mtime: int = EPOCH,
) -> MadeArchive:
    """Images and their layers, whose bytes `open_blob` knows -> a sealed archive at `path`."""
    layout = lay_out(images, mtime)
    written = write_archive(layout, path, lambda digest: layers[digest].parts, open_blob, workers=1)
    return MadeArchive(
        path=path,
        size=written.size,
        sha256=written.sha256,
        blobs=index_blobs(layout, lambda digest: layers[digest].frames if digest in layers else None),
        images=images,
        layout=layout,
        layers=layers,
    )
