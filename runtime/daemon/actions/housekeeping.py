"""The stage `housekeeping`: logs that others write are kept below a bound, and memory that is free is given back.

RKE2 gives both logs to a rotating writer of its own process; here the programs write them, so that nothing is lost
when the daemon dies, and they are copied and cut.
"""

import asyncio
import contextlib
import ctypes
import os
import shutil
from pathlib import Path
from typing import Final

from bundles.files import os_errors
from runtime.daemon.context import Node
from runtime.daemon.runner import Control

MAX_LOG: Final = 50 << 20  # bytes, as RKE2's
KEEP: Final = 3
_FIRST: Final = 10.0  # seconds: by then the runtime image is unpacked and archives are checked
_EVERY: Final = 60.0


async def keep_house(node: Node, control: Control) -> str:
    """For ever."""
    control.up("")
    logs = (node.paths.containerd_root / "containerd.log", node.paths.logs / "kubelet.log")
    pause = _FIRST
    while True:
        await asyncio.sleep(pause)
        for log in logs:
            await asyncio.to_thread(rotate, log)
        await asyncio.to_thread(give_back)
        pause = _EVERY


def give_back() -> None:
    """Free memory to the system: unpacking gigabytes leaves some 50 MB in glibc's arenas, for weeks. malloc_trim(3).

    Other C libraries do not have it, and do not need it.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def rotate(log: Path, *, bound: int = MAX_LOG, keep: int = KEEP) -> bool:
    """Moves a log above `bound` bytes to LOG.1, LOG.1 to LOG.2 and so on, and cuts it; what is written meanwhile may
    be lost. Its writer has it open for appending, so it goes on at the beginning.
    """
    with os_errors(log), contextlib.suppress(FileNotFoundError):
        if log.stat().st_size <= bound:
            return False
        for number in range(keep - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{log}.{number}", f"{log}.{number + 1}")
        shutil.copyfile(log, f"{log}.1")
        os.chmod(f"{log}.1", 0o640)
        os.truncate(log, 0)
        return True
    return False
