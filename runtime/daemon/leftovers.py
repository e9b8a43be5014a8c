"""Programs of an earlier run that outlived it: found by the file they run, below DATA/data, and by nothing else."""

import contextlib
import os
import select
import signal
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runtime.layout import NodeLayout


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process: `program` is the file it runs, as the kernel says it."""

    pid: int
    parent: int
    program: PurePosixPath


def processes(proc: Path = Path("/proc")) -> Iterator[Process]:
    """All processes whose program can be seen."""
    for name in os.listdir(proc):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                program = os.readlink(proc / name / "exe").removesuffix(" (deleted)")
                fields = (proc / name / "stat").read_text().rpartition(")")[2].split()
                yield Process(pid=int(name), parent=int(fields[1]), program=PurePosixPath(program))


def of_node(found: Iterator[Process], layout: NodeLayout, names: Collection[str]) -> list[Process]:
    """Those that run a program of any version folder of this node, with one of these names."""
    folders = {PurePosixPath(layout.versions), PurePosixPath(os.path.realpath(layout.versions))}
    return [
        process
        for process in found
        if process.program.name in names
        and process.program.parent.name == "bin"
        and process.program.parent.parent.parent in folders
    ]


def end(process: Process, number: signal.Signals, seconds: float = 10.0) -> bool:
    """Sends a signal to exactly this process and waits for its end; False when it is still there."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        # The handle is of whoever has the number now: look again before anything is sent.
        with contextlib.suppress(OSError):
            program = os.readlink(f"/proc/{process.pid}/exe").removesuffix(" (deleted)")
            if PurePosixPath(program) != process.program:
                return True
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, number)
        return ended(handle, seconds)
    finally:
        os.close(handle)


def ended(handle: int, seconds: float = 10.0) -> bool:
    """Waits for the end of the process of a pidfd; False when it is still there."""
    poll = select.poll()  # select(2) cannot take descriptors above 1023
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
