"""The recording file door: every change of the files below a folder, as Python asks the kernel for it, in order.

`recorded` puts itself before the functions of `os` that change a filesystem (by path or by directory descriptor) and
before `open`, whose buffers would reach the kernel past them. What other programs write (compilers) is not seen.

A watcher is asked before each operation, and may refuse it with an OSError or let only a part of a write pass: so a
disk that is full or broken is the same door. `tests.support.disk` turns what was recorded into disks after a crash.
"""

import builtins
import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import bundles.exchange
from tests.support.disk import Event
from tests.support.recording_door import Watcher
from tests.support.recording_files import opener_for
from tests.support.recording_names import Names


class Recorder:
    """A watcher that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def before(self, name: str, path: str) -> int | None:
        return None

    def after(self, event: Event) -> None:
        self.events.append(event)


@contextlib.contextmanager
def recorded(root: Path, watcher: Watcher, *, sync: bool = False) -> Iterator[None]:
    """Everything below `root` is told to `watcher` inside the block; `sync` False: fsync is told, not done."""
    door = Names(root, watcher, sync)
    doubles = {name.removeprefix("do_"): getattr(door, name) for name in dir(door) if name.startswith("do_")}
    real = {name: getattr(os, name) for name in doubles}
    opened, exchanged = builtins.open, bundles.exchange.renameat2
    double = opener_for(opened)
    try:
        for name, function in doubles.items():
            setattr(os, name, function)
        builtins.open = io.open = double
        bundles.exchange.renameat2 = door.exchange
        yield
    finally:
        bundles.exchange.renameat2 = exchanged
        builtins.open = io.open = opened
        for name, function in real.items():
            setattr(os, name, function)


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """fsync does nothing inside the block: thousands of runs on a real disk wait for nothing."""
    real = os.fsync, os.fdatasync
    try:
        os.fsync = os.fdatasync = lambda fd: None
        yield
    finally:
        os.fsync, os.fdatasync = real
