"""Old version folders (DATA/data/v*) go, unless something still runs from them.

RKE2's rule (pkg/bootstrap/bootstrap.go, cleanDataDirs and dirHasShims): a folder stays while containerd has a shim
whose binary lies in it, and everything stays when that cannot be found out. Two things are stricter here: paths are
compared by components (`v1.3` is not a prefix of `v1.34`), and a folder also stays while any process runs a program
of it, because RKE2 cleans up before it starts programs and this may run while a node is up.
"""

import contextlib
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from runtime.folders import remove_folder
from runtime.layout import NodeLayout

_VERSION_FOLDER: Final = re.compile(r"v[0-9]")
_SHIM_FILE: Final = "shim-binary-path"
_MAX_PATH: Final = 4096  # PATH_MAX


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanReport:
    """Names of version folders: removed, and kept with the reason; `why_all` when nothing could be decided."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]
    why_all: str = ""


def plan_removal(*, names: Iterable[str], current: str, in_use: Collection[str]) -> tuple[str, ...]:
    """Names in DATA/data -> those to remove: versions other than `current` that nothing runs from. Sorted."""
    return tuple(sorted(n for n in names if _VERSION_FOLDER.match(n) and n != current and n not in in_use))


def names_in_use(versions: Iterable[PurePosixPath], programs: Iterable[PurePosixPath]) -> frozenset[str]:
    """Paths of programs that run -> the names of the folders directly below any of `versions` that hold one."""
    folders = tuple(versions)
    found = set()
    for program in programs:
        for folder in folders:
            if folder in program.parents:
                found.add(program.relative_to(folder).parts[0])
    return frozenset(found)


def remove_old_versions(
    layout: NodeLayout, current: str, *, shims: Path, processes: Path = Path("/proc")
) -> CleanReport:
    """Removes old version folders of `layout`.

    Args:
        layout: the node.
        current: the data key in use.
        shims: containerd's folder of running tasks (one folder each, with a `shim-binary-path` file).
        processes: procfs.
    """
    others = [entry.name for entry in _folders(layout.versions) if entry.name != current]
    if not plan_removal(names=others, current=current, in_use=()):
        return CleanReport(removed=(), kept=())
    try:
        programs = [*_shim_programs(shims), *_running_programs(processes)]
    except OSError as exc:
        kept = plan_removal(names=others, current=current, in_use=())
        return CleanReport(removed=(), kept=kept, why_all=f"{exc.filename or shims}: {exc.strerror or exc}")
    # Shims say the path as it was typed, procfs says it without symlinks.
    places = {PurePosixPath(layout.versions), PurePosixPath(os.path.realpath(layout.versions))}
    in_use = names_in_use(places, programs)
    removed = plan_removal(names=others, current=current, in_use=in_use)
    for name in removed:
        remove_folder(layout.versions / name)
    return CleanReport(removed=removed, kept=tuple(sorted(in_use & set(others))))


def _folders(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _shim_programs(shims: Path) -> list[PurePosixPath]:
    """Contents of all shim files; an OSError of the folder itself passes, a task that just ended does not count."""
    programs = []
    for task in os.listdir(shims):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), open(shims / task / _SHIM_FILE, "rb") as file:
            programs.append(PurePosixPath(os.fsdecode(file.read(_MAX_PATH)).strip()))
    return programs


def _running_programs(processes: Path) -> list[PurePosixPath]:
    """Programs of all processes that can be seen; kernel threads have none, other users' are not ours to see."""
    programs = []
    for name in os.listdir(processes):
        if name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                programs.append(PurePosixPath(os.readlink(processes / name / "exe")))
    return programs
