"""Layers as they are stored -> their uncompressed tar, in order, with bounded memory.

All in pieces of some hundred kilobytes, made on the thread that asks for them: what is hashed next is still in the
processor's cache, and no memory is taken and given back. Layers run beside each other, not frames. Frame borders are
found in the data (RFC 8878, section 3.1.1), so a frame list or a seek table is never believed, but compared afterwards.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from backports import zstd

from bundles.errors import FormatError, LimitError

MAX_FRAME: Final = 8 << 20  # bytes of content of an independent frame
MAX_WINDOW_LOG: Final = 25  # 32 MiB: more is memory that no layer is worth
MAX_RATIO: Final = 200
RATIO_FLOOR: Final = 64 << 20  # bytes of content that any layer may have, however small it is
SEEK_TABLE_MAGIC: Final = 0x184D2A5E
# Frames, or members of gzip and bzip2, of one layer: many that hold nothing would cost time and memory without end.
MAX_FRAMES: Final = 1 << 17
_SEEKABLE_MAGIC: Final = 0x8F92EAB1
_ZSTD_MAGIC: Final = 0xFD2FB528
_SKIPPABLE: Final = range(0x184D2A50, 0x184D2A60)
_MAX_SKIPPABLE: Final = 16 << 20  # bytes
_MAX_HEADER: Final = 18  # bytes of the longest frame header, magic included
# A frame that does not compress grows by 3 bytes for each 128 KiB block, plus header and checksum.
_MAX_COMPRESSED_FRAME: Final = MAX_FRAME + (MAX_FRAME >> 12) + 1024
_PIECE: Final = 1 << 18  # bytes of content at a time: some of them fit the cache of a core
FIRST: Final = 1 << 10  # bytes of a frame or member that the decoder gets first

Content = Iterator[bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameHeader:
    """What the first bytes of a frame say; sizes in bytes, `content` None when the frame does not tell it."""

    skippable: bool
    magic: int
    content: int | None = None
    window: int = 0
    checksum: bool = False
    skip: int = 0


def parse_header(data: bytes | bytearray, where: str) -> FrameHeader | None:
    """The first bytes of a frame -> its header; None when more bytes are needed. Raises FormatError."""
    if len(data) < 8:
        return None
    magic, skip = struct.unpack_from("<II", data)
    if magic in _SKIPPABLE:
        return FrameHeader(skippable=True, magic=magic, skip=skip)
    if magic != _ZSTD_MAGIC:
        raise FormatError("not a zstd frame", where=where, got=f"{magic:#010x}")
    flags = data[4]
    single = bool(flags & 0x20)
    size_bytes = (1 if single else 0, 2, 4, 8)[flags >> 6]
    at = 5 if single else 6
    if flags & 0x08 or flags & 0x03:
        raise FormatError("zstd frame with a dictionary or reserved bits", where=where)
    if len(data) < at + size_bytes:
        return None
    # Two-byte sizes count from 256 (RFC 8878, 3.1.1.1.4).
    known = int.from_bytes(data[at : at + size_bytes], "little") + (256 if size_bytes == 2 else 0)
    content = known if size_bytes else None
    window = known if single else _window(data[5])
    return FrameHeader(skippable=False, magic=magic, content=content, window=window, checksum=bool(flags & 0x04))


def _window(descriptor: int) -> int:
    base = 1 << (10 + (descriptor >> 3))
    return base + (base >> 3) * (descriptor & 7)


def parse_seek_table(body: bytes) -> list[tuple[int, int]] | None:
    """The body of a skippable frame -> [(compressed, content)] if it is a seek table without checksums, else None.

    zstd's contrib/seekable_format: entries of two little-endian u32, then count, descriptor byte and magic.
    """
    if len(body) < 9 or struct.unpack_from("<I", body, len(body) - 4)[0] != _SEEKABLE_MAGIC:
        return None
    count, descriptor = struct.unpack_from("<IB", body, len(body) - 9)
    if descriptor != 0 or len(body) != 9 + 8 * count:
        return None
    return list(struct.iter_unpack("<II", body[:-9]))


class ZstdLayer:
    """Decodes one zstd layer. After `content` is used up: `frames`, and `seek_table` if there was one.

    `small` says whether every frame was independent: content size told, <= 8 MiB, with a checksum. Memory: one chunk,
    one piece and the window of one frame, whatever the layer does.
    """

    def __init__(self, chunks: Iterable[bytes], where: str) -> None:
        """`chunks`: the stored bytes in order; `where` names the layer in errors."""
        self._chunks = iter(chunks)
        self._where = where
        self._chunk = memoryview(b"")
        self._at = 0  # what of the chunk is used up
        self.frames: list[tuple[int, int]] = []
        self.seek_table: list[tuple[int, int]] | None = None
        self.small = True

    def content(self) -> Content:
        """The uncompressed bytes in order; raises FormatError for damage, LimitError for large windows."""
        count = 0
        while (header := self._header()) is not None:
            count += 1
            bound_frames(count, self._where)
            if header.skippable:
                self._skip(header)
            else:
                yield from self._frame(header)

    def _more(self) -> bool:
        """One more chunk behind what is left of this one; False at the end."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        left = self._chunk[self._at :]
        self._chunk, self._at = memoryview(bytes(left) + chunk if left else chunk), 0
        return True

    def _header(self) -> FrameHeader | None:
        """The next frame's header; None at the end of the layer."""
        while len(self._chunk) - self._at < _MAX_HEADER and self._more():
            pass
        start = bytes(self._chunk[self._at : self._at + _MAX_HEADER])
        if not start:
            return None
        if self.seek_table is not None:
            raise FormatError("data after the seek table", where=self._where)
        header = parse_header(start, self._where)
        if header is None:
            raise FormatError("zstd layer ends within a frame", where=self._where)
        return header

    def _skip(self, header: FrameHeader) -> None:
        if header.skip > _MAX_SKIPPABLE:
            raise LimitError("skippable frame too large", where=self._where, got=f"{header.skip} bytes")
        parts, missing = [], 8 + header.skip
        while missing:
            part = self._feed(missing)
            parts.append(part)
            missing -= len(part)
        if header.magic == SEEK_TABLE_MAGIC:
            self.seek_table = parse_seek_table(b"".join(parts)[8:])

    def _frame(self, header: FrameHeader) -> Content:
        """One frame in pieces; it holds exactly what its header says, where that says anything."""
        independent = header.content is not None and max(header.content, header.window) <= MAX_FRAME
        self.small = self.small and independent and header.checksum
        if header.window > 1 << MAX_WINDOW_LOG:
            raise LimitError("zstd window too large", where=self._where, got=f"{header.window} bytes", want="<= 32 MiB")
        decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})
        compressed, content, step = 0, 0, FIRST
        while not decoder.eof:
            # Small bites first: what a short frame leaves of one is copied by the decoder, for each frame again.
            data = self._feed(step) if decoder.needs_input else b""
            step = min(2 * step, _PIECE)
            piece = _decompress(decoder, data, self._where)
            compressed, content = compressed + len(data), content + len(piece)
            if independent and compressed > _MAX_COMPRESSED_FRAME + _PIECE:
                raise FormatError("damaged zstd frame", where=self._where)
            if header.content is not None and (content > header.content or (decoder.eof and content < header.content)):
                got, want = f"{content} bytes", f"{header.content} bytes"
                raise FormatError("zstd frame of another size than it says", where=self._where, got=got, want=want)
            yield piece
        unused = len(decoder.unused_data)
        self._at -= unused
        self.frames.append((compressed - unused, content))

    def _feed(self, count: int) -> memoryview:
        """At least one and at most `count` of the bytes that follow, from one chunk."""
        while self._at == len(self._chunk):
            if not self._more():
                raise FormatError("zstd layer ends within a frame", where=self._where)
        part = self._chunk[self._at : self._at + count]
        self._at += len(part)
        return part


def bound_frames(count: int, where: str) -> None:
    """Raises LimitError when a layer has more than `MAX_FRAMES` frames or members; `count` of them so far."""
    if count > MAX_FRAMES:
        raise LimitError("too many compressed frames", where=where, want=f"<= {MAX_FRAMES}")


def _decompress(decoder: zstd.ZstdDecompressor, data: bytes | memoryview, where: str) -> bytes:
    try:
        return decoder.decompress(data, _PIECE)
    except zstd.ZstdError as exc:
        raise FormatError(f"damaged zstd data: {exc}", where=where) from exc


def gunzip(chunks: Iterable[bytes], where: str) -> Content:
    """A gzip layer (RFC 1952, any number of members) -> its content; raises FormatError."""
    decoder = zlib.decompressobj(wbits=31)
    started, members, step = False, 1, FIRST
    for chunk in chunks:
        view, at = memoryview(chunk), 0
        while at < len(view):
            if decoder.eof:
                decoder, members, step = zlib.decompressobj(wbits=31), members + 1, FIRST
                bound_frames(members, where)
            started = True
            # Small bites first, as for frames: the decoder copies what a short member leaves.
            data = view[at : at + step]
            yield _gunzip_piece(decoder, data, where)
            at += len(data) - len(decoder.unused_data if decoder.eof else decoder.unconsumed_tail)
            step = min(2 * step, _PIECE)
    while started and not decoder.eof and (piece := _gunzip_piece(decoder, b"", where)):
        yield piece
    if not started or not decoder.eof:
        raise FormatError("gzip layer ends too early", where=where)


def _gunzip_piece(decoder: "zlib._Decompress", data: bytes | memoryview, where: str) -> bytes:
    try:
        return decoder.decompress(data, _PIECE)
    except zlib.error as exc:
        raise FormatError(f"damaged gzip data: {exc}", where=where) from exc


def within_ratio(content: Iterable[bytes], stored: int, where: str) -> Content:
    """Passes `content` on while it stays within 200 times `stored` bytes (or 64 MiB); raises LimitError."""
    limit = max(RATIO_FLOOR, MAX_RATIO * stored)
    total = 0
    for piece in content:
        total += len(piece)
        if total > limit:
            raise LimitError("layer unpacks to too much", where=where, want=f"<= {limit} bytes")
        yield piece
