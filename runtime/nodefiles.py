"""A node's small files: written only when they differ, secrets made once, modes exact.

What differs by nothing keeps its mtime, so that nobody who watches a file is woken for nothing.
"""

import os
import stat
from pathlib import Path
from typing import Final

from bundles.errors import LimitError
from bundles.files import os_errors, write_atomic

SECRET_FILE: Final = 0o600
PUBLIC_FILE: Final = 0o644
_MAX_FILE: Final = 4 << 20  # bytes; the largest are chains of certificates


def read_file(path: Path) -> bytes | None:
    """The bytes of a small file, None when there is none. Raises LimitError above 4 MiB, SealiftError otherwise."""
    with os_errors(path):
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_FILE + 1)
        except FileNotFoundError:
            return None
    if len(data) > _MAX_FILE:
        raise LimitError("file too large", where=path, want=f"<= {_MAX_FILE} bytes")
    return data


def settle(path: Path, data: bytes, mode: int = SECRET_FILE) -> bool:
    """Makes `path` hold `data` with `mode` (octal); False when it did already. The folder must exist."""
    if read_file(path) == data:
        tighten(path, mode)
        return False
    write_atomic(path, data, mode=mode)
    return True


def tighten(path: Path, mode: int) -> None:
    """Takes away the permissions beyond `mode` (octal); adds none. Symlinks are left alone."""
    with os_errors(path):
        status = os.lstat(path)
        loose = stat.S_IMODE(status.st_mode) & ~mode
        if loose and not stat.S_ISLNK(status.st_mode):
            os.chmod(path, stat.S_IMODE(status.st_mode) & mode)
