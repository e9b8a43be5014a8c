"""One zstd frame, and the table that lists them (RFC 8878; zstd's contrib/seekable_format, version 0.1.0).

A frame is compressed alone and by one thread: its bytes depend on content, level and library version, on nothing else.
"""

import struct
from collections.abc import Sequence
from typing import Final

from backports import zstd

from bundles.layers.model import MAX_FRAME, Frame

ZSTD_VERSION: Final[str] = zstd.zstd_version  # part of every content id that compressed bytes hang on
MAX_WINDOW_LOG: Final = 23  # 8 MiB
LEVELS: Final = range(1, 23)
_SKIPPABLE_MAGIC = 0x184D2A5E
_SEEKABLE_MAGIC = 0x8F92EAB1


def compress_frame(data: bytes | bytearray | memoryview, level: int) -> bytes:
    """At most 8 MiB of content -> one frame with content size and checksum, and a window of at most 8 MiB."""
    if len(data) > MAX_FRAME or level not in LEVELS:
        raise ValueError(f"frame of {len(data)} bytes at level {level}")
    parameter = zstd.CompressionParameter
    options: dict[int, int] = {
        parameter.compression_level: level,
        parameter.window_log: MAX_WINDOW_LOG,  # zstd takes less for less content
        parameter.content_size_flag: 1,
        parameter.checksum_flag: 1,
        parameter.nb_workers: 0,  # the multi-threaded mode makes other bytes
    }
    # A compressor of its own for each frame: one used before starts with other tables.
    compressor = zstd.ZstdCompressor(options=options)
    compressor.set_pledged_input_size(len(data))
    return compressor.compress(data, zstd.ZstdCompressor.FLUSH_FRAME)


def seek_table(frames: Sequence[Frame]) -> bytes:
    """The skippable frame that lists (compressed, content) bytes of all frames before it; without checksums.

    It must be the last frame: ggcr takes a layer that starts with a skippable frame for an uncompressed tar.
    """
    entries = b"".join(struct.pack("<II", compressed, content) for compressed, content in frames)
    footer = struct.pack("<IBI", len(frames), 0, _SEEKABLE_MAGIC)
    return struct.pack("<II", _SKIPPABLE_MAGIC, len(entries) + len(footer)) + entries + footer
