"""Where every byte of a sealed archive lies, before one is written (bundle-format 2). Pure.

The strict reader uses the same functions: it lays out what manifest and configs say and compares.
"""

from dataclasses import dataclass

from bundles.digest import Digest
from bundles.reference import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedImage:
    """An image of an archive, by one reference (with a tag): the exact bytes of its JSON blobs.

    `index`: the original multi-platform index, where index.json shall point at that (`keep_index`).
    """

    reference: Reference
    manifest: bytes
    config: bytes
    index: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One member: the header lies at `offset - 512`, the body at `offset`, `size` bytes of it, then zero padding.

    Either `content` is the body (JSON) or the body is the blob `digest`; JSON blobs have both.
    """

    name: str
    offset: int
    size: int
    content: bytes | None = None
    digest: Digest | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedLayout:
    """All members in order; `size` of the whole file in bytes, with the two zero blocks; `mtime` of each header."""

    entries: tuple[Entry, ...]
    size: int
    mtime: int
