"""Where every byte of a sealed archive lies, before one is written (bundle-format 2). Pure.

The strict reader can use the same functions: it lays out what the JSON blobs say and compares.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bundles import index, jsontext, oci, ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.sealed.opened import OpenedDocuments, SealedImage, open_documents

BLOB_FOLDER: Final = "blobs/sha256/"
MODE: Final = 0o644
END: Final = bytes(2 * ustar.BLOCK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One member: the header lies at `offset - 512`, the body at `offset`, `size` bytes of it, then zero padding.

    Either `content` is the body (JSON) or the body is the blob `digest`; JSON blobs have both.
    """

    name: str
    offset: int
    size: int
    content: bytes | None = None
    digest: Digest | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedLayout:
    """All members in order; `size` of the whole file in bytes, with the two zero blocks; `mtime` of each header."""

    entries: tuple[Entry, ...]
    size: int
    mtime: int

    def header(self, entry: Entry) -> bytes:
        """The 512 bytes before the entry's body; raises FormatError for a body of 8 GiB or more."""
        return ustar.encode(ustar.Header(name=entry.name, mode=MODE, size=entry.size, mtime=self.mtime))

    def blobs(self) -> Iterator[tuple[Digest, Entry]]:
        """The blobs in the order of the archive."""
        return ((entry.digest, entry) for entry in self.entries if entry.digest)


def lay_out(images: Iterable[SealedImage], mtime: int) -> SealedLayout:
    """Images in the order of the archive -> its layout; `mtime` in seconds since the epoch.

    Raises FormatError for an image without a tag, two images of one reference, a manifest that is not the config's,
    and a blob of 8 GiB or more.
    """
    opened = [open_documents(image) for image in images]
    names = [image.tag for image in opened]
    if not opened or len(set(names)) != len(names):
        raise FormatError("an archive holds at least one image, and each reference once", got=", ".join(names))
    head = [
        ("manifest.json", _docker_manifest(opened)),
        ("oci-layout", oci.LAYOUT_FILE),
        ("index.json", _oci_index(opened)),
    ]
    documents: dict[Digest, bytes] = {}
    for image in opened:
        for content in (image.source.index, image.source.manifest, image.source.config):
            if content is not None:
                documents.setdefault(Digest.of(content), content)
    layers: dict[Digest, int] = {}
    for layer in (layer for image in opened for layer in image.layers):
        if layers.setdefault(layer.digest, layer.size) != layer.size or layer.digest in documents:
            raise FormatError("one digest with two sizes", where=layer.digest)
    return _place(head, documents, layers, mtime)


def index_blobs(
    layout: SealedLayout, frames_of: Callable[[Digest], Sequence[tuple[int, int]] | None]
) -> list[index.Blob]:
    """The archive's blobs as bundle.json lists them; `frames_of` knows the frames of layers that we made."""
    return [
        index.Blob(
            digest=digest,
            size=entry.size,
            offset=entry.offset,
            frames=list(frames) if (frames := frames_of(digest)) else None,
        )
        for digest, entry in layout.blobs()
    ]


def _docker_manifest(images: Sequence[OpenedDocuments]) -> bytes:
    """manifest.json: one object for each image; an image of two references has two RepoTags."""
    by_manifest: dict[bytes, list[OpenedDocuments]] = {}
    for image in images:
        by_manifest.setdefault(image.source.manifest, []).append(image)
    objects = [
        oci.DockerImage(
            Config=blob_name(same[0].config),
            RepoTags=[image.tag for image in same],
            Layers=[blob_name(layer.digest) for layer in same[0].layers],
            LayerSources={str(diff_id): layer for diff_id, layer in zip(same[0].diff_ids, same[0].layers, strict=True)},
        )
        for same in by_manifest.values()
    ]
    return jsontext.encode_canonical(objects)


def _oci_index(images: Sequence[OpenedDocuments]) -> bytes:
    """index.json: one descriptor for each reference.

    containerd stores `io.containerd.image.name` as it is, so it is the full name always. A bare tag in ref.name
    serves oras, umoci and skopeo, but among several images only the full name tells them apart.
    """
    return jsontext.encode_canonical(
        oci.Index(
            schema_version=2,
            media_type=oci.INDEX,
            manifests=[
                oci.Descriptor(
                    media_type=image.target.media_type,
                    digest=image.target.digest,
                    size=image.target.size,
                    annotations={
                        oci.ANNOTATION_IMAGE_NAME: image.tag,
                        oci.ANNOTATION_REF_NAME: image.tag if len(images) > 1 else str(image.source.reference.tag),
                    },
                )
                for image in images
            ],
        )
    )


def _place(
    head: Sequence[tuple[str, bytes]], documents: dict[Digest, bytes], layers: dict[Digest, int], mtime: int
) -> SealedLayout:
    """Names and sizes in order -> offsets."""
    bodies: list[tuple[str, int, bytes | None, Digest | None]] = []
    bodies += [(name, len(content), content, None) for name, content in head]
    bodies += [(blob_name(digest), len(content), content, digest) for digest, content in documents.items()]
    bodies += [(blob_name(digest), size, None, digest) for digest, size in layers.items()]
    entries, at = [], 0
    for name, size, content, digest in bodies:
        at += ustar.BLOCK
        entries.append(Entry(name=name, offset=at, size=size, content=content, digest=digest))
        at += size + ustar.padding(size)
    layout = SealedLayout(entries=tuple(entries), size=at + len(END), mtime=mtime)
    for entry in entries:
        layout.header(entry)  # refuses now, in the plan, what no header can hold
    return layout


def blob_name(digest: Digest) -> str:
    """`blobs/sha256/<hex>`."""
    return BLOB_FOLDER + digest.hex
