"""What checking a sealed archive found: values to show, compare and build on. Sizes in bytes."""

from dataclasses import dataclass

from bundles.digest import Digest
from bundles.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerReport:
    """A layer: `digest` and `size` as stored, `diff_id` of its uncompressed tar, `frames` of zstd.

    `content_size` and `frames` are None when the layer was not decompressed (`quick`); `frames` are
    (compressed bytes, content bytes) of each, and None for gzip and plain layers too.
    """

    digest: Digest
    size: int
    diff_id: Digest
    media_type: str
    content_size: int | None = None
    frames: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReport:
    """An image: full reference, digest of its platform's manifest, layers lowest first."""

    reference: str
    digest: Digest
    config: Digest
    platform: Platform
    layers: tuple[LayerReport, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveReport:
    """A sealed archive that holds: `where` names it, `programs` are the /bin files of the runtime image if in it."""

    where: str
    size: int
    images: tuple[ImageReport, ...]
    blobs: int
    quick: bool
    programs: tuple[str, ...] = ()
