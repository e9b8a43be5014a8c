"""The sealed profile (bundle-format 6) for one archive."""

from collections.abc import Sequence
from pathlib import Path

from bundles.index import Archive, Image
from bundles.platform import Platform
from bundles.sealed.report import ArchiveReport
from bundles.talk import Progress


def verify_archive(
    path: Path,
    *,
    platform: Platform | None = None,
    quick: bool = False,
    progress: Progress | None = None,
    expected: Archive | None = None,
    images: Sequence[Image] | None = None,
    workers: int = 2,
) -> ArchiveReport:
    """Checks one sealed archive from its first byte to its last, or raises a SealiftError that names what fails."""
    raise NotImplementedError
