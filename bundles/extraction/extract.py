"""Extracts directories of an image: layers flattened, every digest checked before a file gets its name."""

from collections.abc import Mapping
from pathlib import Path

from bundles.extraction.model import ExtractReport, Limits
from bundles.foreign.model import FoundImage


def extract_image(found: FoundImage, destinations: Mapping[str, Path], *, limits: Limits = Limits()) -> ExtractReport:
    """Writes directories of the image, e.g. `{"/bin": staging / "bin", "/charts": staging / "charts"}`.

    Each destination must not exist or be an empty directory; its parent must exist, all on one filesystem. All of
    them exist afterwards with mode 0755, also where the image has nothing for one (nothing below /bin is an error).
    Files get `mode & 0755` (0 becomes 0755), directories 0755; no owners, times or extended attributes. Nothing is
    flushed: the caller syncs and renames. After an error the destinations may hold nothing or something; never
    anything outside them.

    Raises FormatError for damage and hostile layers, LimitError, SealiftError for what the filesystem refuses.
    """
    raise NotImplementedError
