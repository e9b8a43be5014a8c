"""The outside of an archive: which files count as one, and how its compression is taken off.

The suffixes are those of RKE2's reader, matched without regard to case.
"""

import bz2
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bundles import framed
from bundles.errors import FormatError, LimitError, MissingError
from bundles.files import os_errors
from bundles.foreign.pipeline import ahead
from bundles.region import Region

PLAIN: Final = ".tar"
SUFFIXES: Final = {
    ".tar": PLAIN,
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".tar.zst": "zstd",
    ".tzst": "zstd",
    ".tar.bz2": "bzip2",
    ".tbz": "bzip2",
    ".tar.lz4": "lz4",
}
_MAX_FILES: Final = 10_000
_MAX_FOLDERS: Final = 32  # levels
_PIECE: Final = 1 << 20


def compression(name: str) -> str | None:
    """The compression a file name tells (`.tar` for none); None for files that are no archives."""
    folded = name.lower()
    return next((kind for suffix, kind in SUFFIXES.items() if folded.endswith(suffix)), None)


def archives(folder: Path) -> list[Path]:
    """All archives below `folder`, in the order of their paths.

    Names that begin with a dot and symlinked directories are passed over. Raises MissingError when there is no
    `folder`, LimitError for far too many files.
    """
    if not folder.is_dir():
        raise MissingError("no such directory", where=folder)
    found: list[Path] = []
    with os_errors(folder):
        _walk(folder, 0, found)
    return sorted(found, key=lambda path: os.fsencode(path))


def _walk(folder: Path, level: int, found: list[Path]) -> None:
    if level > _MAX_FOLDERS or len(found) > _MAX_FILES:
        raise LimitError("too many archives or directories", where=folder, want=f"<= {_MAX_FILES}, {_MAX_FOLDERS} deep")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                _walk(Path(entry.path), level + 1, found)
            elif compression(entry.name) is not None and not _leads_to_folder(entry):
                found.append(Path(entry.path))


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    """A link that leads in circles is no folder: it is a neighbour that cannot be read, told when it is opened."""
    try:
        return entry.is_dir()
    except OSError:
        return False


@contextlib.contextmanager
def uncompressed(region: Region, kind: str) -> Iterator[Iterator[bytes]]:
    """The tar inside a compressed archive as a stream, within 200 times its size; windows up to 32 MiB."""
    where = region.where
    chunks = region.chunks(0, region.size)
    if kind == "zstd":
        content = framed.ZstdLayer(chunks, where).content()
    elif kind == "gzip":
        content = framed.gunzip(chunks, where)
    elif kind == "bzip2":
        content = bunzip2(chunks, where)
    else:
        hint = "decompress it: lz4 -d --rm FILE.tar.lz4"
        raise FormatError(f"{kind} archives cannot be read", where=where, hint=hint)
    with contextlib.closing(ahead(framed.within_ratio(content, region.size, where))) as pieces:
        yield pieces


def bunzip2(chunks: Iterator[bytes], where: str) -> Iterator[bytes]:
    """bzip2 streams, one after another (as pbzip2 writes them) -> content; raises FormatError, LimitError."""
    decoder = bz2.BZ2Decompressor()
    started, streams, step = False, 1, framed.FIRST
    for chunk in chunks:
        view, at = memoryview(chunk), 0
        while at < len(view) or not (decoder.needs_input or decoder.eof):
            if decoder.eof:
                decoder, streams, step = bz2.BZ2Decompressor(), streams + 1, framed.FIRST
                framed.bound_frames(streams, where)
            started = True
            data = view[at : at + step] if decoder.needs_input else b""
            step = min(2 * step, _PIECE)
            try:
                piece = decoder.decompress(data, _PIECE)
            except (OSError, ValueError, EOFError) as exc:
                raise FormatError(f"damaged bzip2 data: {exc}", where=where) from exc
            at += len(data) - (len(decoder.unused_data) if decoder.eof else 0)
            yield piece
    if not started or not decoder.eof:
        raise FormatError("bzip2 archive ends too early", where=where)
