"""Keeps the process small: what large buffers took goes back to the system when they are freed."""

import contextlib
import ctypes
from typing import Final

_M_MMAP_THRESHOLD: Final = -3  # mallopt(3), <malloc.h>
_M_TRIM_THRESHOLD: Final = -1
_M_ARENA_MAX: Final = -8
_LARGE: Final = 1 << 20  # bytes


def return_large_buffers() -> None:
    """Tells glibc to map each allocation of 1 MiB or more for itself, and to keep as much free memory in one heap.

    Does nothing with another C library.

    By default the first free() of a large block raises that bound to its size (mallopt(3), M_MMAP_THRESHOLD): frames
    and compressors of up to 32 MB then stay behind in one heap per thread, and a build of many layers doubles its
    memory. Who sets one bound fixes the others: 128 KiB are less than one buffer of what arrives, and each would be
    given back and asked for again. One heap for all threads: who allocates mostly holds the interpreter's lock anyway,
    and heaps of sixteen threads are sixteen times what is free.
    """
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, _LARGE)
        library.mallopt(_M_ARENA_MAX, 1)
