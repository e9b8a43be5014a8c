"""The sealed profile (bundle-format 6) for a whole bundle: a folder, or one `.sealift` file."""

from dataclasses import dataclass
from pathlib import Path

from bundles.digest import Digest
from bundles.index import BundleIndex
from bundles.platform import Platform
from bundles.sealed.report import ArchiveReport
from bundles.talk import Progress
from bundles.trust import Trust


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleReport:
    """A bundle that holds: `index_digest` is that of bundle.json; `archives` in the index's order; `size` in bytes."""

    where: str
    index: BundleIndex
    index_digest: Digest
    archives: tuple[ArchiveReport, ...]
    size: int
    trust: Trust
    quick: bool


def verify_bundle(
    path: Path,
    trust: Trust,
    *,
    quick: bool = False,
    progress: Progress | None = None,
    platform: Platform | None = None,
    now: int | None = None,
    lowest_sequence: int | None = None,
    stage_to: Path | None = None,
    workers: int = 2,
) -> BundleReport:
    """Checks a bundle in the order of bundle-format 6, naming the first thing that fails.

    Args:
        path: the bundle's folder or `.sealift` file.
        trust: from `bundles.trust.require`.
        quick: every blob's digest, but no diff ids and no programs.
        platform: the node's, when the bundle must be for it; else the index says the platform.
        now: seconds since the epoch, when an expired bundle must be refused.
        lowest_sequence: refuse bundles of a lower sequence (roll back).
        stage_to: an empty folder on the target filesystem: every byte is copied while it is checked, files and folders
            are fsynced; the caller renames it. After an error what it holds is to be thrown away.
        workers: threads that hash and decompress.

    Raises TrustError (signature, sequence, expiry), FormatError, MissingError, or SealiftError for a full disk.
    """
    raise NotImplementedError
