"""Finds one image among the archives of a directory, as RKE2's reader does, but the same one every time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bundles.foreign.model import FoundImage
from bundles.platform import Platform
from bundles.reference import Reference


@contextlib.contextmanager
def find_image(
    images_dir: Path, reference: Reference | None, *, platform: Platform, scratch: Path
) -> Iterator[FoundImage]:
    """Yields the image that an archive below `images_dir` calls `reference`; its layers can be opened in the block.

    Args:
        images_dir: searched with its subdirectories, in the order of paths; dot files and symlinked folders are not.
        reference: spelled in any way; None takes the only image called `.../rke2-runtime:TAG` there is.
        platform: what the image must be built for.
        scratch: an existing directory for the layers of a compressed archive (their stored size; removed at the end).

    Raises MissingError (with the archives that could not be read) when it is not there; UsageError when `reference` is
    None and there are several; FormatError when archives disagree on the tag, or the image is for another platform.
    """
    raise NotImplementedError
    yield
