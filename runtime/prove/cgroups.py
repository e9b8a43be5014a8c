"""A control group of its own for a machine, in every hierarchy of this host: made, entered, taken away.

Version 1, hybrid and version 2 (cgroups(7)). `hierarchies` is pure; `Group` writes below /sys/fs/cgroup and nowhere
else.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from bundles.files import os_errors

FOLDER: Final = Path("/sys/fs/cgroup")
_NO_CONTROLLER: Final = frozenset({"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode"})
_PATIENCE: Final = 100  # tries, 0.1 s apart: a group is busy for a moment after its last process ended


@dataclass(frozen=True, kw_only=True, slots=True)
class Hierarchy:
    """A mounted hierarchy: `options` mount it again (`cpu,cpuacct`, `name=systemd`); empty for version 2."""

    mount: Path
    options: str = ""

    @property
    def version(self) -> int:
        """1 or 2."""
        return 1 if self.options else 2


def hierarchies(mountinfo: str) -> tuple[Hierarchy, ...]:
    """The text of /proc/self/mountinfo (proc(5)) -> the hierarchies below /sys/fs/cgroup, each once."""
    found: dict[str, Hierarchy] = {}
    for line in mountinfo.split("\n"):
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        mount = Path(fields[4])
        if mount != FOLDER and FOLDER not in mount.parents:
            continue
        options = [word for word in kind[2].split(",") if _is_controller(word)] if kind[0] == "cgroup" else []
        found.setdefault(fields[2], Hierarchy(mount=mount, options=",".join(options)))
    return tuple(found.values())


def _is_controller(word: str) -> bool:
    return word not in _NO_CONTROLLER and not word.startswith("release_agent=")


@dataclass(frozen=True, slots=True)
class Group:
    """The group `name` at the top of every hierarchy."""

    name: str
    hierarchies: tuple[Hierarchy, ...]

    @property
    def folders(self) -> tuple[Path, ...]:
        """Its folders."""
        return tuple(hierarchy.mount / self.name for hierarchy in self.hierarchies)

    @property
    def doors(self) -> tuple[Path, ...]:
        """The files into which a process writes its id to enter."""
        return tuple(folder / "cgroup.procs" for folder in self.folders)

    def make(self) -> None:
        """Makes it. Raises SealiftError when the host does not allow it."""
        if not self.hierarchies:
            hint = "mount the control groups, as every init system does"
            raise SealiftError("no control groups are mounted", where=FOLDER, hint=hint)
        for folder in self.folders:
            with os_errors(folder):
                if (folder.parent / "cgroup.subtree_control").exists():
                    _hand_down(folder.parent)
                folder.mkdir()
                # A new cpuset of version 1 is empty, and takes no process until it is filled.
                for name in ("cpuset.cpus", "cpuset.mems"):
                    if (folder / name).exists() and not (folder / name).read_text().strip():
                        (folder / name).write_text((folder.parent / name).read_text())

    def processes(self) -> frozenset[int]:
        """Ids of all processes in it and below."""
        return frozenset(pid for folder in self.folders for pid in _processes(folder))

    def remove(self, patience: int = _PATIENCE) -> None:
        """Takes it away with all groups below; waits while it is busy. Raises SealiftError when it stays."""
        for _ in range(patience):
            left = self.left()
            for folder in left:
                _remove_tree(folder)
            if not (left := self.left()):
                return
            time.sleep(0.1)
        raise SealiftError("a control group stays", where=left[0], got=f"processes {sorted(self.processes())}")

    def left(self) -> tuple[Path, ...]:
        """Its folders that exist."""
        return tuple(folder for folder in self.folders if folder.is_dir())


def entering(doors: Sequence[Path], argv: Sequence[str]) -> tuple[str, ...]:
    """A command that enters the groups behind `doors` and becomes `argv`. Pure."""
    script = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done; shift; exec "$@"'
    return ("/bin/sh", "-c", script, "enter", *map(str, doors), "--", *argv)


def _hand_down(folder: Path) -> None:
    """Version 2: children of `folder` get all controllers it has; a host that refuses one goes without it."""
    for controller in (folder / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _processes(folder: Path) -> Iterator[int]:
    for path, _, names in os.walk(folder):
        if "cgroup.procs" in names:
            with contextlib.suppress(OSError):
                yield from map(int, Path(path, "cgroup.procs").read_text().split())


def _remove_tree(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)
