"""A stored layer -> its uncompressed tar, checked on the way: digest, size, diff id, ratio, window.

The compression is told by the first bytes, as containerd does it; media types are only labels.
"""

import contextlib
import hashlib
import itertools
from collections.abc import Generator, Iterable, Iterator
from typing import Final

from bundles import framed
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.foreign.model import LayerOpener, OpenableLayer
from bundles.region import Region

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_TAIL: Final = b"\x2a\x4d\x18"  # bytes 2 to 4 of a skippable zstd frame's magic


def opener_for(region: Region) -> LayerOpener:
    """How the layer stored in `region` is opened: see `OpenableLayer.open`."""

    @contextlib.contextmanager
    def opened(layer: OpenableLayer, max_content: int) -> Iterator[Iterator[bytes]]:
        with contextlib.closing(checked(layer, region.chunks(0, region.size), region.size, max_content)) as pieces:
            yield pieces

    return opened


def decompressed(chunks: Iterator[bytes], where: str) -> Iterator[bytes]:
    """gzip, zstd or plain bytes -> content; raises FormatError for damage, LimitError for windows over 32 MiB."""
    first = next(chunks, b"")
    while len(first) < 4 and (more := next(chunks, b"")):
        first += more
    together = itertools.chain((first,), chunks)
    if first.startswith(_GZIP):
        return framed.gunzip(together, where)
    if first.startswith(_ZSTD) or first[1:4] == _SKIPPABLE_TAIL:
        return framed.ZstdLayer(together, where).content()
    return together


def limited(pieces: Iterable[bytes], limit: int, where: str) -> Iterator[bytes]:
    """Passes on at most `limit` bytes; raises LimitError for more."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise LimitError("unpacks to too much", where=where, want=f"<= {limit} bytes")
        yield piece


def checked(layer: OpenableLayer, chunks: Iterator[bytes], size: int, max_content: int) -> Generator[bytes, None, None]:
    """The stored bytes of a layer, `size` of them -> its uncompressed tar, as `OpenableLayer.open` promises it."""
    where, stored, content = layer.where, _Counted(), hashlib.sha256()
    inner = decompressed(stored.passing(chunks), where)
    for piece in limited(framed.within_ratio(inner, size, where), max_content, where):
        content.update(piece)
        yield piece
    if stored.size != size:
        raise FormatError("data after the end of the layer", where=where, got=f"{size} bytes", want=stored.size)
    _compare("digest", Digest(stored.hash.hexdigest()), layer.digest, where)
    _compare("diff id", Digest(content.hexdigest()), layer.diff_id, where)


class _Counted:
    """Hashes and counts what passes."""

    def __init__(self) -> None:
        self.hash, self.size = hashlib.sha256(), 0

    def passing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.hash.update(piece)
            self.size += len(piece)
            yield piece


def _compare(what: str, got: Digest, want: Digest | None, where: str) -> None:
    if want is not None and got != want:
        raise FormatError(f"layer with a wrong {what}", where=where, got=got, want=want)
