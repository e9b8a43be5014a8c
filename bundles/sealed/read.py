"""Reads a sealed archive's structure and documents, strictly: exactly what the writer writes, byte for byte.

How: walk the headers, read the JSON blobs that index.json names, lay the archive out again from them (layout.lay_out)
and compare. So every byte outside of layers is known beforehand, and canonical headers, documents and blob digests
together imply the archive's own sha256: nothing has to be hashed twice (bundle-format 6).
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bundles import index, jsontext, oci, ustar
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.region import Region
from bundles.sealed.layout import BLOB_FOLDER, END, MODE, Entry, SealedLayout, blob_name, lay_out
from bundles.sealed.opened import SealedImage

_HEAD: Final = ("manifest.json", "oci-layout", "index.json")
_BLOB = re.compile(re.escape(BLOB_FOLDER) + "([0-9a-f]{64})")
_MAX_MEMBERS: Final = 100_000
_MAX_DOCUMENT: Final = 8 << 20  # bytes of one manifest, index or config
_MAX_DOCUMENTS: Final = 64 << 20  # bytes of all of them, kept in memory


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedLayer:
    """A layer as an image names it: `entry` is its place in the archive."""

    entry: Entry
    digest: Digest
    diff_id: Digest
    media_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedImage:
    """An image of the archive: `digest` of its platform's manifest, layers lowest first."""

    reference: Reference
    digest: Digest
    config: Digest
    platform: Platform
    layers: tuple[SealedLayer, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedArchive:
    """A sealed archive whose structure and documents hold; its layers are not read yet."""

    region: Region
    layout: SealedLayout
    images: tuple[OpenedImage, ...]


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    offset: int
    size: int


def read_sealed(region: Region, *, expected: index.Archive | None = None, mtime: int | None = None) -> SealedArchive:
    """A region that is one archive -> its layout and images; every byte but the layers' is read, once.

    Args:
        region: the whole archive.
        expected: what bundle.json says of it; compared before and after.
        mtime: seconds since the epoch in each header; without it all must have the first one's.

    Raises FormatError that names the archive and the member that is not as it must be.
    """
    if expected is not None and region.size != expected.size:
        raise FormatError(
            "archive of another size than bundle.json says",
            where=region.where,
            got=f"{region.size} bytes",
            want=f"{expected.size} bytes",
        )
    members, mtime = _walk(region, mtime)
    documents = _Documents(region, members)
    described = documents.read(_HEAD[2])
    with located(f"{region.where}: {_HEAD[2]}"):
        descriptors = jsontext.decode(described, oci.Index, where="").manifests
    sources = [_image(documents, descriptor) for descriptor in descriptors]
    with located(region.where):
        layout = lay_out(sources, mtime)
    _compare(layout, members, documents, region.where)
    archive = SealedArchive(region=region, layout=layout, images=_opened(layout, sources))
    if expected is not None:
        _compare_index(archive, expected)
    return archive


@contextlib.contextmanager
def located(where: str) -> Iterator[None]:
    """Puts `where` in front of the place that a FormatError names."""
    try:
        yield
    except FormatError as exc:
        if not exc.where.startswith(where):
            exc.where = f"{where}: {exc.where}" if exc.where else where
        raise


def _walk(region: Region, mtime: int | None) -> tuple[list[_Member], int]:
    """All headers, paddings and the end; bodies are stepped over."""
    members: list[_Member] = []
    seen: set[str] = set()
    at = 0
    while True:
        block = region.read(at, ustar.BLOCK)
        if not any(block):
            break
        place = f"{region.where}: member {len(members) + 1} at byte {at}"
        with located(place):
            header = ustar.parse(block)
            mtime = header.mtime if mtime is None else mtime
            _check_header(block, header, mtime, len(members))
        if header.name in seen:
            raise FormatError("the same member twice", where=f"{region.where}: {header.name}")
        if len(members) >= _MAX_MEMBERS:
            raise LimitError("too many members", where=region.where, want=f"<= {_MAX_MEMBERS}")
        seen.add(header.name)
        body = at + ustar.BLOCK
        members.append(_Member(header.name, body, header.size))
        at = body + header.size
        _check_zero(region, at, ustar.padding(header.size), f"padding of {header.name}")
        at += ustar.padding(header.size)
    if at + len(END) != region.size:
        got, want = f"{region.size} bytes", f"{at + len(END)} bytes"
        raise FormatError("the archive does not end after two zero blocks", where=region.where, got=got, want=want)
    _check_zero(region, at + ustar.BLOCK, ustar.BLOCK, "end of the archive")
    if len(members) < len(_HEAD) or mtime is None:
        raise FormatError("not a sealed archive: members missing", where=region.where, want=", ".join(_HEAD))
    return members, mtime


def _check_header(block: bytes, header: ustar.Header, mtime: int, position: int) -> None:
    """Exactly the writer's header for this name and size, and a name that may stand at this place."""
    if position < len(_HEAD) and header.name != _HEAD[position]:
        hint = "this is no sealed archive; images of other tools are read by sealift-node extract alone"
        raise FormatError("another member than must be here", got=header.name, want=_HEAD[position], hint=hint)
    if position >= len(_HEAD) and not _BLOB.fullmatch(header.name):
        raise FormatError("a member that does not belong here", got=header.name, want=BLOB_FOLDER + "<hex>")
    want = ustar.Header(name=header.name, mode=MODE, size=header.size, mtime=mtime)
    if ustar.encode(want) != block:
        got = f"mode {header.mode:o} mtime {header.mtime} type {header.typeflag!r}" if header != want else ""
        raise FormatError("not the header that belongs here", where=header.name, got=got, want="a canonical header")


def _check_zero(region: Region, offset: int, count: int, what: str) -> None:
    if count and any(region.read(offset, count)):
        raise FormatError(f"{what} is not zero", where=f"{region.where}: byte {offset}")


class _Documents:
    """The JSON members, each read once; blobs are held against their digest before anybody parses them."""

    def __init__(self, region: Region, members: Sequence[_Member]) -> None:
        self._region = region
        self._members = {member.name: member for member in members}
        self._read: dict[str, bytes] = {}
        self._total = 0

    def read(self, name: str) -> bytes:
        """The bytes of a head member."""
        if name not in self._read:
            member = self._members[name]
            self._total += member.size
            if member.size > (_MAX_DOCUMENT if name not in _HEAD else jsontext.MAX_DOCUMENT):
                raise LimitError("document too large", where=self.where(name), got=f"{member.size} bytes")
            if self._total > _MAX_DOCUMENTS:
                raise LimitError("too many documents", where=self.where(name), want=f"<= {_MAX_DOCUMENTS} bytes")
            self._read[name] = self._region.read(member.offset, member.size)
        return self._read[name]

    def blob(self, digest: Digest, asked_by: str) -> bytes:
        """The bytes of a JSON blob; `asked_by` names the document that points at it."""
        name = blob_name(digest)
        if name not in self._members:
            raise FormatError("a blob that is not in the archive", where=self.where(asked_by), got=digest)
        data = self.read(name)
        if (found := Digest.of(data)) != digest:
            raise FormatError("a damaged blob", where=self.where(name), got=found, want=digest)
        return data

    def has(self, digest: Digest) -> bool:
        """Whether the archive holds the blob."""
        return blob_name(digest) in self._members

    def where(self, name: str) -> str:
        """The member in errors."""
        return f"{self._region.where}: {name}"


def _image(documents: _Documents, descriptor: oci.Descriptor) -> SealedImage:
    """One descriptor of index.json -> the image's documents."""
    where = documents.where(_HEAD[2])
    name = descriptor.annotations.get(oci.ANNOTATION_IMAGE_NAME, "")
    with located(where):
        reference = Reference.parse(name)
    target = documents.blob(descriptor.digest, _HEAD[2])
    origin: bytes | None = None
    if descriptor.media_type in oci.INDEXES:
        origin, target = target, _platform_manifest(documents, target, descriptor.digest)
    elif descriptor.media_type not in oci.MANIFESTS:
        raise FormatError("neither a manifest nor an index", where=where, got=descriptor.media_type)
    manifest = jsontext.decode(target, oci.Manifest, where=f"{documents.where(name)} manifest")
    config = documents.blob(manifest.config.digest, blob_name(Digest.of(target)))
    return SealedImage(reference=reference, manifest=target, config=config, index=origin)


def _platform_manifest(documents: _Documents, data: bytes, digest: Digest) -> bytes:
    """The one manifest of a kept index that the archive holds; the other platforms are absent."""
    where = documents.where(blob_name(digest))
    children = jsontext.decode(data, oci.Index, where=where).manifests
    present = {child.digest for child in children if documents.has(child.digest)}
    if len(present) != 1:
        raise FormatError("want one platform of this image", where=where, got=f"{len(present)} of {len(children)}")
    return documents.blob(present.pop(), blob_name(digest))


def _compare(layout: SealedLayout, members: Sequence[_Member], documents: _Documents, where: str) -> None:
    """What the documents say against what is there, member by member."""
    for member, entry in zip(members, layout.entries, strict=False):
        if member != _Member(entry.name, entry.offset, entry.size):
            raise FormatError(
                "another member than index.json and the images' documents say",
                where=f"{where}: {member.name}",
                got=f"{member.name}, {member.size} bytes",
                want=f"{entry.name}, {entry.size} bytes",
            )
        if entry.content is not None and documents.read(entry.name) != entry.content:
            hint = "manifest.json, index.json and the images' own documents must agree, in canonical JSON"
            raise FormatError("not what the other documents say", where=f"{where}: {entry.name}", hint=hint)
    if len(members) != len(layout.entries):
        got, want = f"{len(members)} members", f"{len(layout.entries)} members"
        raise FormatError("members missing, or members that no image needs", where=where, got=got, want=want)


def _opened(layout: SealedLayout, sources: Sequence[SealedImage]) -> tuple[OpenedImage, ...]:
    entries = dict(layout.blobs())
    images = []
    for source in sources:
        manifest = jsontext.decode(source.manifest, oci.Manifest, where=source.reference)
        config = jsontext.decode(source.config, oci.ImageConfig, where=source.reference)
        layers = [
            SealedLayer(entry=entries[layer.digest], digest=layer.digest, diff_id=diff_id, media_type=layer.media_type)
            for layer, diff_id in zip(manifest.layers, config.rootfs.diff_ids, strict=True)
        ]
        images.append(
            OpenedImage(
                reference=source.reference,
                digest=Digest.of(source.manifest),
                config=manifest.config.digest,
                platform=Platform(os=config.os, architecture=config.architecture, variant=config.variant),
                layers=tuple(layers),
            )
        )
    return tuple(images)


def _compare_index(archive: SealedArchive, expected: index.Archive) -> None:
    """bundle.json's blobs and images against the archive's."""
    where = archive.region.where
    found = [(digest, entry.size, entry.offset) for digest, entry in archive.layout.blobs()]
    for have, want in zip(found, [(blob.digest, blob.size, blob.offset) for blob in expected.blobs], strict=False):
        if have != want:
            place = f"{where}: {blob_name(have[0])}"
            raise FormatError("another blob than bundle.json says", where=place, got=_told(have), want=_told(want))
    if len(found) != len(expected.blobs):
        raise FormatError("other blobs than bundle.json says", where=where, got=len(found), want=len(expected.blobs))
    names = [tag_name(image.reference) for image in archive.images]
    wanted = [tag_name(Reference.parse(name)) for name in expected.images]
    if names != wanted:
        raise FormatError(
            "other images than bundle.json says", where=where, got=", ".join(names), want=", ".join(wanted)
        )


def tag_name(reference: Reference) -> str:
    """The name of an image inside an archive: domain, repository and tag, without a digest."""
    return f"{reference.domain}/{reference.repository}:{reference.tag}"


def _told(blob: tuple[Digest, int, int]) -> str:
    return f"{blob[0]}, {blob[1]} bytes at {blob[2]}"
