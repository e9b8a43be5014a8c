"""The bytes of an admitted archive on their way to containerd: hashed as they go, and not one more than was admitted.

Between the check of a file and its import somebody may change it, under its name or in place. So the bytes that are
hashed are the bytes that are sent, and the end of the tar, without which no reader makes an image of them, is held
back until the digest is known. A changed archive could bring an end of its own, earlier: so the members are walked as
they pass, and only headers that a sealed archive may have are let through.
"""

import hashlib
from collections.abc import Generator
from pathlib import Path
from typing import Final

from bundles import ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.region import open_region
from bundles.sealed.layout import END

_CHANGED: Final = "the archive changed after it was checked"


def exact_pieces(archive: Path, sha256: Digest) -> Generator[bytes, None, None]:
    """The pieces of a sealed archive with this digest; raises FormatError before the last one for any other file."""
    found = hashlib.sha256()
    with open_region(archive) as region:
        at, last = 0, region.size - len(END)
        while at < last:
            block = region.read(at, ustar.BLOCK)
            size = _body(block, archive)
            found.update(block)
            yield block
            for piece in region.chunks(at + ustar.BLOCK, size):
                found.update(piece)
                yield piece
            at += ustar.BLOCK + size
        end = region.read(at, region.size - at)
        found.update(end)
    if found.hexdigest() != sha256.hex:
        raise FormatError(_CHANGED, where=archive, got=f"sha256:{found.hexdigest()}", want=sha256)
    yield end


def _body(block: bytes, archive: Path) -> int:
    """How many bytes follow a header, padding included."""
    try:
        header = ustar.parse(block)
    except FormatError as exc:
        raise FormatError(_CHANGED, where=archive, got=exc.message) from exc
    if header.typeflag != ustar.FILE or ustar.encode(header) != block:
        raise FormatError(_CHANGED, where=archive, got=f"another header for {header.name}")
    return header.size + ustar.padding(header.size)
