"""Real small, read-only and other filesystems, for tests that root runs."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

FILLER = "filler"


@contextlib.contextmanager
def small_disk(target: Path, size: str) -> Iterator[Path]:
    """A filesystem of its own at `target`, of `size` (tmpfs: `300k`, `3m`)."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a filesystem")
    target.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", target)
    try:
        yield target
    finally:
        subprocess.run(["umount", target], check=True)


def resize(target: Path, size: str) -> None:
    """Another size, from now on; smaller than what lies there is the same as full."""
    _mount("-o", f"remount,size={size}", target)


def fill(target: Path) -> None:
    """Somebody else takes all the space there is; FILLER is his file."""
    with open(target / FILLER, "ab") as file:
        found = os.statvfs(target)
        free = found.f_bavail * found.f_frsize
        if free:
            os.posix_fallocate(file.fileno(), file.tell(), free)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """`folder` cannot be written inside the block, by nobody (a bind mount of itself)."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a filesystem")
    _mount("--bind", folder, folder)
    try:
        _mount("-o", "remount,bind,ro", folder)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)
