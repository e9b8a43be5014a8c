"""Where a layer's tar is cut into frames. Pure: entries in, a list of frames out, no content needed.

A frame that fails its checksum must fail inside a file's body: RKE2's reader drops errors that it meets between
members and calls the rest done. So frames start inside bodies, never where a member starts; and big bodies start a
frame of their own, so that those frames depend on the body alone and can be kept (bundle-format 3).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from bundles import ustar
from bundles.digest import Digest
from bundles.layers.members import arrange, member_headers
from bundles.layers.model import BIG_BODY, MAX_FRAME, TAIL, LayerEntry

END: Final = bytes(2 * ustar.BLOCK)  # POSIX: two zero blocks end the archive


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Bytes `start` to `start + length` of the body `digest`, which is `whole` bytes long."""

    digest: Digest
    start: int
    length: int
    whole: int


Segment = bytes | Slice


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedFrame:
    """One frame of headers, padding, small bodies and tails of big ones: at most `MAX_FRAME` bytes."""

    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """Content bytes."""
        return sum(map(length_of, self.segments))


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyPiece:
    """The frames of a big body, which is `whole` bytes long: all of it but the tail."""

    digest: Digest
    whole: int

    @property
    def size(self) -> int:
        """Content bytes."""
        return self.whole - TAIL

    def slices(self) -> Iterator[Slice]:
        """What goes into each of its frames; depends on the size alone."""
        for start in range(0, self.size, MAX_FRAME):
            length = min(MAX_FRAME, self.size - start)
            yield Slice(digest=self.digest, start=start, length=length, whole=self.whole)


Piece = SharedFrame | BodyPiece


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerPlan:
    """The pieces of the tar in order; `content_size` bytes in all."""

    pieces: tuple[Piece, ...]
    content_size: int


def plan_layer(entries: Iterable[LayerEntry], mtime: int) -> LayerPlan:
    """Entries in any order -> plan; every member gets `mtime` (seconds since the epoch), owner 0:0.

    Sorted by the bytes of the path, so parents stand before children; missing parents become directories of 0755.
    Raises FormatError for paths that leave the layer, entries given twice, children of what is no directory.
    """
    cutter = _Cutter()
    for entry in arrange(entries):
        cutter.literal(member_headers(entry, mtime))
        if entry.kind == "file" and entry.size:
            cutter.body(entry)
            cutter.literal(bytes(ustar.padding(entry.size)))
    cutter.literal(END)
    cutter.close()
    pieces = tuple(cutter.pieces)
    return LayerPlan(pieces=pieces, content_size=sum(piece.size for piece in pieces))


def length_of(segment: Segment) -> int:
    """Content bytes of a segment."""
    return segment.length if isinstance(segment, Slice) else len(segment)


class _Cutter:
    """Collects segments and cuts them into pieces."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._open: list[Segment] = []
        self._size = 0  # bytes in _open
        self._start = 0  # offset in the tar where _open starts

    def literal(self, data: bytes) -> None:
        """Headers or padding."""
        if data:
            self._add(data)

    def body(self, entry: LayerEntry) -> None:
        """A file's content: a big one closes the open frame, and leaves its tail for the next."""
        assert entry.digest is not None
        whole = entry.size
        if whole < BIG_BODY:
            self._add(Slice(digest=entry.digest, start=0, length=whole, whole=whole))
            return
        self.close()
        piece = BodyPiece(digest=entry.digest, whole=whole)
        self.pieces.append(piece)
        self._start += piece.size
        self._add(Slice(digest=entry.digest, start=piece.size, length=TAIL, whole=whole))

    def close(self) -> None:
        """Ends the open frame here."""
        if self._open:
            self._emit(len(self._open))

    def _add(self, segment: Segment) -> None:
        self._open.append(segment)
        self._size += length_of(segment)
        while self._size > MAX_FRAME:
            self._emit(self._split_at(self._cut()))

    def _emit(self, count: int) -> None:
        """Makes a frame of the first `count` open segments."""
        frame = SharedFrame(segments=tuple(_joined(self._open[:count])))
        self._open = self._open[count:]
        self._size -= frame.size
        self._start += frame.size
        self.pieces.append(frame)

    def _split_at(self, at: int) -> int:
        """Splits the open segment that covers offset `at` there; returns how many segments lie before."""
        for number, segment in enumerate(self._open):
            if at < (length := length_of(segment)):
                self._open[number : number + 1] = _split(segment, at)
                return number + 1
            at -= length
        raise AssertionError("a cut outside the open frame")

    def _cut(self) -> int:
        """The last offset in the open frame, at most MAX_FRAME, where a cut lies strictly inside a body."""
        best = offset = 0
        for segment in self._open:
            end = offset + length_of(segment)
            if isinstance(segment, Slice) and segment.length > 1:
                at = min(MAX_FRAME, end - min(TAIL, segment.length // 2))
                best = at if at > offset else best
            offset = end
        if best >= MAX_FRAME // 2:
            return best
        # Thousands of members without a body: cut in the middle of a block, which is inside a header.
        return MAX_FRAME - (self._start + MAX_FRAME - ustar.BLOCK // 2) % ustar.BLOCK


def _split(segment: Segment, at: int) -> tuple[Segment, Segment]:
    if isinstance(segment, Slice):
        rest = replace(segment, start=segment.start + at, length=segment.length - at)
        return replace(segment, length=at), rest
    return segment[:at], segment[at:]


def _joined(segments: Iterable[Segment]) -> Iterator[Segment]:
    """The same bytes, with neighbouring literals made one."""
    literal: list[bytes] = []
    for segment in segments:
        if isinstance(segment, bytes):
            literal.append(segment)
            continue
        if literal:
            yield b"".join(literal)
            literal = []
        yield segment
    if literal:
        yield b"".join(literal)
