"""Two names change places in one step: a folder is replaced without a moment in which there is none.

rename(2) replaces a folder only when it is empty; renameat2(2) with RENAME_EXCHANGE does what is needed, and Python has
no function for it. Filesystems that cannot (some overlays, old kernels) are told apart from failures.
"""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_CANNOT: Final = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def exchange(one: Path, other: Path) -> bool:
    """Exchanges two names on one filesystem; False, and nothing changed, where that is not possible.

    False too when `other` does not exist. OSErrors pass. The caller makes it durable.
    """
    code = renameat2(os.fsencode(one), os.fsencode(other))
    if code == 0:
        return True
    if code in _CANNOT or (code == errno.ENOENT and not os.path.lexists(other)):
        return False
    raise OSError(code, os.strerror(code), str(other))


def renameat2(one: bytes, other: bytes) -> int:
    """The system call with RENAME_EXCHANGE; returns 0 or its errno."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2  # glibc 2.28, musl 1.2
    except AttributeError:
        return errno.ENOSYS
    if call(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE) == 0:
        return 0
    return ctypes.get_errno()
