"""Compressed layers: whatever is taken is what the libraries make of it at once, however the stream is cut."""

import bz2
import gzip
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from backports import zstd

from bundles import framed
from bundles.foreign.layer import decompressed
from bundles.foreign.outer import bunzip2
from tests.fuzz import examples, modes
from tests.fuzz.model import taken

framed.RATIO_FLOOR = 1 << 20  # type: ignore[misc] # bytes: bombs must stay cheap here
Open = Callable[[Iterator[bytes]], Iterable[bytes]]


def _same(opened: Open, whole: Callable[[bytes], bytes]) -> modes.Reader:
    """A reader of streams against a call that knows everything at once."""

    def read(data: bytes) -> bool:
        found = [taken(_opened, opened, data, step) for step in (len(data) or 1, 7)]
        assert found[0] == found[1], "how the stream is cut makes a difference"
        assert not data or found[0] is None or found[0] == whole(data), "the library finds other content"
        return found[0] is not None

    return read


def _content(pieces: Iterable[bytes], stored: bytes) -> bytes:
    return b"".join(framed.within_ratio(pieces, len(stored), "input"))


def _opened(opened: Open, data: bytes, step: int) -> bytes:
    return _content(opened(_cut(data, step)), data)


def _cut(data: bytes, step: int) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


def _frames(data: bytes) -> bool:
    """Frames that are counted are those that are there, and a table of them is read as it was written."""
    layer = framed.ZstdLayer([data], "input")
    content = taken(lambda: _content(layer.content(), data))
    if content is None:
        return False
    assert sum(size for _, size in layer.frames) == len(content)
    assert sum(size for size, _ in layer.frames) <= len(data)
    return True


def _table(data: bytes) -> bool:
    found = framed.parse_seek_table(data)
    if found is not None:
        written = b"".join(struct.pack("<II", *entry) for entry in found)
        assert data == written + struct.pack("<IBI", len(found), 0, 0x8F92EAB1)
    taken(lambda: framed.parse_header(data, "input"))
    return found is not None


READERS: Final[dict[str, modes.Reader]] = {
    "zstd": _same(lambda chunks: framed.ZstdLayer(chunks, "input").content(), zstd.decompress),
    "gzip": _same(lambda chunks: framed.gunzip(chunks, "input"), gzip.decompress),
    "bzip2": _same(lambda chunks: bunzip2(chunks, "input"), bz2.decompress),
    "frames": _frames,
    "seek table": _table,
}


def _any(data: bytes) -> bool:
    """The layer's own kind, told by its first bytes."""
    return taken(lambda: _content(decompressed(iter([data]), "input"), data)) is not None


READERS["any"] = _any
_TEXT: Final = b"some text, and the same text again, some text " * 9
_STREAM: Final = zstd.ZstdCompressor(level=3)
_ZSTD: Final = [
    examples.framed_layer(),
    zstd.compress(_TEXT),
    zstd.compress(b"") + struct.pack("<II", 0x184D2A50, 3) + b"abc" + zstd.compress(_TEXT),
    _STREAM.compress(_TEXT) + _STREAM.flush(),
]
_GZIP: Final = [gzip.compress(_TEXT, mtime=0) + gzip.compress(b"x", mtime=0)]

EXAMPLES: Final = {
    "zstd": _ZSTD,
    "gzip": _GZIP,
    "bzip2": [bz2.compress(_TEXT) + bz2.compress(b"x")],
    "frames": _ZSTD,
    "seek table": [struct.pack("<IIIBI", 30, 300, 1, 0, 0x8F92EAB1), _ZSTD[1]],
    "any": [*_ZSTD, *_GZIP, b"plain"],
}
