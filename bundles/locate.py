"""From a byte of a bundle to the file that it belongs to, and from a file to its bytes.

Everything on the way is read by the strict readers, layers to their ends: what is told here was checked by digest,
from the blob to the content.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bundles.compare.layer import StoredLayer, opened_tar
from bundles.digest import Digest
from bundles.errors import MissingError, UsageError
from bundles.foreign.tarreader import Member
from bundles.index import Archive, BundleIndex
from bundles.reference import Reference
from bundles.sealed.layout import Entry
from bundles.sealed.read import OpenedImage, SealedArchive, SealedLayer, read_sealed, tag_name
from bundles.source import BundleSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """Bytes of an archive, `first` to `end` (not included); of framed layers `frames`: first, last, of how many.

    A byte of a compressed layer stands for all the content of its frame.
    """

    archive: str
    first: int
    end: int
    frames: tuple[int, int, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """A file in a layer: `image` by full reference, `layer` counted from 1, `name` without a slash in front.

    `start` is where its content begins in the layer's tar, `size` in bytes, `mode` octal; `sha256` of its content.
    """

    image: str
    layer: int
    digest: Digest
    diff_id: Digest
    stored: Stored
    name: str
    kind: str
    mode: int
    target: str
    start: int
    size: int
    sha256: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Touched:
    """What lies at one byte of an archive: the tar member in words, and the files whose content it helps to hold."""

    member: str
    what: str
    spots: tuple[Spot, ...] = ()


def find_path(source: BundleSource, document: BundleIndex, image: str, path: str) -> tuple[Spot, ...]:
    """A path in an image (any form of its name; "" for all images) -> where it lies, lowest layer first.

    Raises MissingError when no image has the name or the path, FormatError for damage.
    """
    wanted, known = path.strip("/"), False
    found: list[Spot] = []
    source.files()  # a packed bundle finds its members so
    for listed in document.archives:
        if not any(_is_named(reference, image) for reference in listed.images):
            continue
        known = True
        with source.open(listed.path) as region:
            archive = read_sealed(region, expected=listed)
            for each in archive.images:
                if _is_named(tag_name(each.reference), image):
                    for number in range(len(each.layers)):
                        found += _spots(archive, listed, each, number, lambda member: member.name == wanted)
    if not known:
        names = ", ".join(reference for archive in document.archives for reference in archive.images)
        raise MissingError("no such image in this bundle", where=source.where, got=image, want=names)
    if not found:
        raise MissingError("no such path", where=f"{source.where}: {image or 'all images'}", got=f"/{wanted}")
    return tuple(found)


def find_offset(source: BundleSource, document: BundleIndex, path: str, offset: int) -> Touched:
    """An archive of the bundle by its path, and a byte in it -> what that byte is. Raises MissingError, UsageError."""
    source.files()
    listed = next((archive for archive in document.archives if archive.path == path), None)
    if listed is None:
        want = ", ".join(archive.path for archive in document.archives)
        raise MissingError("no such archive in this bundle", where=source.where, got=path, want=want)
    if not 0 <= offset < listed.size:
        raise UsageError("no such byte", where=path, got=offset, want=f"0 to {listed.size - 1}")
    with source.open(listed.path) as region:
        archive = read_sealed(region, expected=listed)
        for entry in archive.layout.entries:
            if offset < entry.offset:
                return Touched(member=entry.name, what="its tar header: name, size, the lock's epoch")
            if offset < entry.offset + entry.size:
                return _within(archive, listed, entry, offset - entry.offset)
    return Touched(member="", what="padding, or the end of the archive: zeros")


def frames_over(frames: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int, int, int]:
    """Frames [compressed, content], a range of content -> the first and last frame over it, and where they are stored.

    Counted from 0; bytes from the layer's beginning, the end not included. Pure.
    """
    stored = content = 0
    first = last = begin = finish = -1
    for number, (compressed, size) in enumerate(frames):
        if content < max(end, start + 1) and content + size > start:
            first, begin = (number, stored) if first < 0 else (first, begin)
            last, finish = number, stored + compressed
        stored, content = stored + compressed, content + size
    return (first, last, begin, finish) if first >= 0 else (0, len(frames) - 1, 0, stored)


def frame_at(frames: Sequence[tuple[int, int]], offset: int) -> tuple[int, int, int]:
    """Frames and a byte of the stored layer -> the frame, and the range of content that it holds. Pure.

    The frame is -1 behind the last one: there lies the seek table.
    """
    stored = content = 0
    for number, (compressed, size) in enumerate(frames):
        if offset < stored + compressed:
            return number, content, content + size
        stored, content = stored + compressed, content + size
    return -1, content, content


def _is_named(reference: str, name: str) -> bool:
    """Whether a name means an image: all of it, without the domain, without the tag, or its last word."""
    parsed = Reference.parse(reference)
    last = parsed.repository.rpartition("/")[2]
    forms = {parsed.name, parsed.familiar, f"{parsed.domain}/{parsed.repository}", parsed.repository, last}
    return not name or name in forms | {f"{last}:{parsed.tag}", f"{parsed.repository}:{parsed.tag}"}


def _within(archive: SealedArchive, listed: Archive, entry: Entry, at: int) -> Touched:
    """A byte of a member's body."""
    for image in archive.images:
        for number, layer in enumerate(image.layers):
            if layer.entry == entry:
                return _within_layer(archive, listed, image, number, at)
    users = [tag_name(image.reference) for image in archive.images if entry.digest in (image.digest, image.config)]
    what = "manifest or configuration of " + ", ".join(users) if users else "a document about all images of the archive"
    return Touched(member=entry.name, what=f"byte {at} of it: {what}")


def _within_layer(archive: SealedArchive, listed: Archive, image: OpenedImage, number: int, at: int) -> Touched:
    layer = image.layers[number]
    what = f"layer {number + 1} of {tag_name(image.reference)}"
    frames = _frames(listed, layer)
    if not frames:
        return Touched(member=layer.entry.name, what=f"byte {at} of {what}, which is taken over as it is")
    frame, start, end = frame_at(frames, at)
    if frame < 0:
        return Touched(member=layer.entry.name, what=f"the seek table of {what}")

    def touched(member: Member) -> bool:
        return member.offset < end and member.offset + member.size > start

    spots = tuple(_spots(archive, listed, image, number, touched))
    what = f"frame {frame + 1} of {len(frames)} of {what}: bytes {start} to {end - 1} of its tar"
    return Touched(member=layer.entry.name, what=what, spots=spots)


def _frames(listed: Archive, layer: SealedLayer) -> Sequence[tuple[int, int]]:
    return next((blob.frames or () for blob in listed.blobs if blob.digest == layer.digest), ())


def _spots(
    archive: SealedArchive, listed: Archive, image: OpenedImage, number: int, wanted: Callable[[Member], bool]
) -> list[Spot]:
    """The wanted members of a layer; all of it is read, so that its digests are known to hold."""
    layer = image.layers[number]
    found: list[Spot] = []
    with opened_tar(StoredLayer(region=archive.region, layer=layer)) as reader:
        for member in reader:
            if wanted(member):
                body = hashlib.sha256()
                for piece in reader.body():
                    body.update(piece)
                found.append(
                    Spot(
                        image=tag_name(image.reference),
                        layer=number + 1,
                        digest=layer.digest,
                        diff_id=layer.diff_id,
                        stored=stored_at(listed, layer.digest, member.offset, member.size),
                        name=member.name,
                        kind=member.kind,
                        mode=member.mode,
                        target=member.target,
                        start=member.offset,
                        size=member.size,
                        sha256=Digest(body.hexdigest()),
                    )
                )
    return found


def stored_at(listed: Archive, layer: Digest, start: int, size: int) -> Stored:
    """An archive, a layer in it, and a range of that layer's tar -> the bytes of the archive that hold it."""
    blob = next(each for each in listed.blobs if each.digest == layer)
    if not blob.frames:
        return Stored(archive=listed.path, first=blob.offset, end=blob.offset + blob.size)
    first, last, begin, finish = frames_over(blob.frames, start, start + size)
    frames = (first + 1, last + 1, len(blob.frames))
    return Stored(archive=listed.path, first=blob.offset + begin, end=blob.offset + finish, frames=frames)


def read_content(source: BundleSource, document: BundleIndex, spot: Spot) -> bytes:
    """The content of a file that was found."""
    listed = next(archive for archive in document.archives if archive.path == spot.stored.archive)
    with source.open(listed.path) as region:
        archive = read_sealed(region, expected=listed)
        image = next(each for each in archive.images if tag_name(each.reference) == spot.image)
        with opened_tar(StoredLayer(region=region, layer=image.layers[spot.layer - 1])) as reader:
            for member in reader:
                if member.offset == spot.start and member.name == spot.name:
                    return b"".join(reader.body())
    raise MissingError("no such path", where=source.where, got=spot.name)
