"""Layers as they are stored -> their uncompressed tar, in order, with bounded memory.

zstd layers made of small independent frames (bundle-format 3) are decompressed on several threads; any other zstd
stream, gzip and plain layers as streams. Frame borders are found in the data (RFC 8878, section 3.1.1), so a frame
list or a seek table is never believed, only compared afterwards.
"""

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Final

from backports import zstd

from bundles.errors import FormatError, LimitError

MAX_FRAME: Final = 8 << 20  # bytes of content of an independent frame
MAX_WINDOW_LOG: Final = 25  # 32 MiB: more is memory that no layer is worth
MAX_RATIO: Final = 200
RATIO_FLOOR: Final = 64 << 20  # bytes of content that any layer may have, however small it is
SEEK_TABLE_MAGIC: Final = 0x184D2A5E
_SEEKABLE_MAGIC: Final = 0x8F92EAB1
_ZSTD_MAGIC: Final = 0xFD2FB528
_SKIPPABLE: Final = range(0x184D2A50, 0x184D2A60)
_MAX_SKIPPABLE: Final = 16 << 20  # bytes
_MAX_HEADER: Final = 18  # bytes of the longest frame header, magic included
# A frame that does not compress grows by 3 bytes for each 128 KiB block, plus header and checksum.
_MAX_COMPRESSED_FRAME: Final = MAX_FRAME + (MAX_FRAME >> 12) + 1024
_PIECE: Final = 1 << 20  # bytes of content at a time from streams
_AHEAD: Final = 2  # frames in flight for one layer: at most 16 MiB each

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

    `small` says whether every frame was independent: content size told, <= 8 MiB, with a checksum.
    """

    def __init__(self, chunks: Iterable[bytes], pool: Executor, where: str) -> None:
        """`chunks`: the stored bytes in order; `pool` decompresses; `where` names the layer in errors."""
        self._chunks = iter(chunks)
        self._pool, self._where = pool, where
        self._buffer = bytearray()
        self.frames: list[tuple[int, int]] = []
        self.seek_table: list[tuple[int, int]] | None = None
        self.small = True

    def content(self) -> Content:
        """The uncompressed bytes in order; raises FormatError for damage, LimitError for large windows."""
        waiting: deque[tuple[Future[bytes], int]] = deque()
        try:
            while (header := self._header()) is not None:
                if header.skippable:
                    self._skip(header)
                elif header.content is not None and header.content <= MAX_FRAME and header.window <= MAX_FRAME:
                    yield from self._take(waiting, _AHEAD - 1)
                    waiting.append(self._submit(header))
                else:
                    yield from self._take(waiting, 0)
                    yield from self._stream(header)
            yield from self._take(waiting, 0)
        finally:
            for future, _ in waiting:
                future.cancel()

    def _take(self, waiting: deque[tuple[Future[bytes], int]], keep: int) -> Content:
        """Finished frames in order, until at most `keep` are waiting."""
        while len(waiting) > keep:
            future, compressed = waiting.popleft()
            data = future.result()
            self.frames.append((compressed, len(data)))
            yield data

    def _fill(self) -> bool:
        """One more chunk into the buffer; False at the end."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._buffer += chunk
        return True

    def _header(self) -> FrameHeader | None:
        """The next frame's header; None at the end of the layer."""
        while len(self._buffer) < _MAX_HEADER and self._fill():
            pass
        if not self._buffer:
            return None
        if self.seek_table is not None:
            raise FormatError("data after the seek table", where=self._where)
        header = parse_header(self._buffer, self._where)
        if header is None:
            raise FormatError("zstd layer ends within a frame", where=self._where)
        self.small = self.small and (header.skippable or header.checksum)
        return header

    def _skip(self, header: FrameHeader) -> None:
        if header.skip > _MAX_SKIPPABLE:
            raise LimitError("skippable frame too large", where=self._where, got=f"{header.skip} bytes")
        while len(self._buffer) < 8 + header.skip:
            if not self._fill():
                raise FormatError("zstd layer ends within a frame", where=self._where)
        body = bytes(self._buffer[8 : 8 + header.skip])
        del self._buffer[: 8 + header.skip]
        if header.magic == SEEK_TABLE_MAGIC:
            self.seek_table = parse_seek_table(body)

    def _submit(self, header: FrameHeader) -> tuple[Future[bytes], int]:
        while (size := _frame_size(self._buffer)) is None:
            if len(self._buffer) > _MAX_COMPRESSED_FRAME or not self._fill():
                raise FormatError("damaged zstd frame", where=self._where)
        with memoryview(self._buffer) as view:
            frame = bytes(view[:size])  # one copy; a slice of the buffer itself would be two
        del self._buffer[:size]
        return self._pool.submit(_whole_frame, frame, header.content or 0, self._where), size

    def _stream(self, header: FrameHeader) -> Content:
        """A large frame, or one that does not tell its size, as a stream."""
        self.small = False
        if header.window > 1 << MAX_WINDOW_LOG:
            raise LimitError("zstd window too large", where=self._where, got=f"{header.window} bytes", want="<= 32 MiB")
        decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})
        data, compressed, content = bytes(self._buffer), 0, 0
        self._buffer.clear()
        while not decoder.eof:
            piece = _decompress(lambda data=data: decoder.decompress(data, _PIECE), self._where)  # type: ignore[misc]
            compressed, content = compressed + len(data), content + len(piece)
            yield piece
            data = b""
            if decoder.needs_input and not decoder.eof:
                data = next(self._chunks, b"")
                if not data:
                    raise FormatError("zstd layer ends within a frame", where=self._where)
        self._buffer += decoder.unused_data
        self.frames.append((compressed - len(decoder.unused_data), content))


def _frame_size(data: bytearray) -> int | None:
    """Size in bytes of the frame that `data` begins with; None when it is damaged or not all there."""
    try:
        return zstd.get_frame_size(data)
    except zstd.ZstdError:
        return None


def _whole_frame(frame: bytes, content: int, where: str) -> bytes:
    """One frame -> exactly `content` bytes; the output is bounded whatever the frame does."""
    decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 23})
    data = _decompress(lambda: decoder.decompress(frame, content + 1), where)
    if not decoder.eof or len(data) != content:
        raise FormatError("zstd frame of another size than it says", where=where, got=len(data), want=content)
    return data


def _decompress(call: Callable[[], bytes], where: str) -> bytes:
    try:
        return call()
    except zstd.ZstdError as exc:
        raise FormatError(f"damaged zstd data: {exc}", where=where) from exc


def gunzip(chunks: Iterable[bytes], where: str) -> Content:
    """A gzip layer (RFC 1952, any number of members) -> its content; raises FormatError."""
    decoder = zlib.decompressobj(wbits=31)
    started = False
    for chunk in chunks:
        data = chunk
        while data:
            if decoder.eof:
                decoder, started = zlib.decompressobj(wbits=31), False
            started = True
            yield _gunzip_piece(decoder, data, where)
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    while started and not decoder.eof and (piece := _gunzip_piece(decoder, b"", where)):
        yield piece
    if not started or not decoder.eof:
        raise FormatError("gzip layer ends too early", where=where)


def _gunzip_piece(decoder: "zlib._Decompress", data: bytes, where: str) -> bytes:
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
