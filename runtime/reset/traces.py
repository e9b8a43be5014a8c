"""Folders outside the data directory that pods and programs fill: what they were before the first start.

before.json is written once, at the first start. A folder that was missing or empty then is ours to empty; in one that
held something only what we know by name is removed.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from bundles import jsontext
from bundles.errors import FormatError
from bundles.files import write_atomic
from runtime.folders import ensure_folder
from runtime.layout import NodeLayout
from runtime.nodepaths import NodePaths
from runtime.reset.mounts import remove_unmounted

Was = Literal["missing", "empty", "used"]
# Another containerd, of docker for one, may have come since: what is ours in these is removed by name.
_SHARED: Final = (
    "/run/containerd/runc/k8s.io",
    "/run/containerd/runc",
    "/run/containerd/s",
    "/run/containerd",
)
_FOLDERS: Final = (
    "/etc/cni/net.d",
    "/etc/cni",
    "/opt/cni/bin",
    "/opt/cni",
    "/var/lib/cni/networks",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/run/flannel",
    "/usr/libexec/kubernetes",
    *_SHARED,
)


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """before.json."""

    format: str
    folders: dict[str, Was]


def before_path(layout: NodeLayout) -> Path:
    """Beside admitted.json."""
    return layout.admitted.with_name("before.json")


def folders_of(paths: NodePaths) -> tuple[str, ...]:
    """All folders that are looked at, children before parents."""
    own = (str(paths.kubelet_root), str(paths.state), str(paths.state.parent))
    return (*own, *_FOLDERS)


def remember(layout: NodeLayout, paths: NodePaths) -> None:
    """Writes before.json unless it is there: later the folders are ours."""
    if read_before(layout) is not None:
        return
    found = {folder: was(Path(folder)) for folder in folders_of(paths)}
    ensure_folder(before_path(layout).parent)
    write_atomic(before_path(layout), jsontext.encode_canonical(Before(format="1.0", folders=found)))


def read_before(layout: NodeLayout) -> Before | None:
    """before.json; None when there is none that can be understood."""
    path = before_path(layout)
    try:
        return jsontext.decode(path.read_bytes(), Before, where=path)
    except (FileNotFoundError, FormatError):
        return None


def was(folder: Path) -> Was:
    """What is there: a mounted file system counts as used when it holds anything."""
    if not folder.is_dir():
        return "missing"
    return "used" if os.listdir(folder) else "empty"


def clear(folders: Mapping[str, Was]) -> list[str]:
    """Empties and removes what was not there before -> what could not be removed."""
    left = []
    for folder in sorted(folders, key=len, reverse=True):
        path, before = Path(folder), folders[folder]
        if before == "used" or not path.is_dir() or path.is_symlink():
            continue
        if folder not in _SHARED:
            left += [why for name in os.listdir(path) if (why := remove_unmounted(path / name))]
        if before == "missing" and not os.path.ismount(path):
            with contextlib.suppress(OSError):
                path.rmdir()
    return left
