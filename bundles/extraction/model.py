"""What extraction may cost at most, and what it did."""

from dataclasses import dataclass

from bundles.digest import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds of one image: `members` of all layers, `content` bytes of all uncompressed layers, `depth` of paths."""

    members: int = 10_000
    content: int = 16 << 30
    depth: int = 32


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class ExtractedFile:
    """A regular file: `path` as in the image with a leading `/`, `size` in bytes, `mode` octal as on disk."""

    path: str
    digest: Digest
    size: int
    mode: int


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class ExtractedLink:
    """A symbolic link: `path` as in the image, `target` relative and inside the same directory tree."""

    path: str
    target: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractReport:
    """What was written, sorted by path; `ignored` members lay outside the wanted directories."""

    files: tuple[ExtractedFile, ...]
    links: tuple[ExtractedLink, ...]
    ignored: int
