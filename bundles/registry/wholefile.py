"""A file that appears when all of it was right."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bundles.files import fsync_directory, os_errors
from bundles.registry.artifact import PART


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[int]:
    """An open file beside `target` that gets its name when the block ends well, durable; else nothing is left."""
    part = target.with_name(target.name + PART)
    with os_errors(part):
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with os_errors(target):
            yield fd
            os.fsync(fd)
            os.rename(part, target)
            fsync_directory(target.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
