"""The runtime image's charts go to server/manifests, where the deploy controller applies whatever appears.

As RKE2 does it (pkg/bootstrap/bootstrap.go, UpdateManifests): overwritten when different, files of others kept. What
differs: each file appears whole, by rename from outside the watched folder, and unchanged files keep their mtime.
"""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from bundles.errors import LimitError, SealiftError
from bundles.files import os_errors
from runtime.folders import SECRET_MODE, ensure_folder, write_through
from runtime.layout import NodeLayout

MANIFEST_MODE: Final = 0o600
_SUFFIXES: Final = (".yaml", ".yml")  # the deploy controller's own two (JSON it reads too, but RKE2 ships none)
_MAX_MANIFEST: Final = 64 << 20  # bytes; etcd takes 1.5 MiB objects, RKE2's largest chart has 3 MB


def plan_manifests(charts: Mapping[str, bytes], present: Mapping[str, bytes]) -> tuple[str, ...]:
    """Charts by path relative to the folder, and what is there already -> the paths to write, sorted."""
    return tuple(sorted(name for name, data in charts.items() if present.get(name) != data))


def place_manifests(charts_folder: Path, layout: NodeLayout) -> tuple[str, ...]:
    """Puts the charts below `charts_folder` into server/manifests; returns the paths that were written.

    Folders get mode 0700 when they are made, files 0600. Symlinks in the image's charts are left out.
    """
    ensure_folder(layout.server, SECRET_MODE)
    ensure_folder(layout.manifests, SECRET_MODE)
    charts = {name: _read(charts_folder / name) for name in chart_names(charts_folder)}
    present = {name: _read(layout.manifests / name) for name in charts if (layout.manifests / name).is_file()}
    changed = plan_manifests(charts, present)
    for name in changed:
        target = layout.manifests / name
        for parent in reversed(PurePosixPath(name).parents[:-1]):
            ensure_folder(layout.manifests / parent, SECRET_MODE)
        if target.is_dir() and not target.is_symlink():
            raise SealiftError("a folder has the name of a chart", where=target, hint="move it away")
        write_through(target, charts[name], MANIFEST_MODE, layout.server)
    return changed


def chart_names(folder: Path) -> tuple[str, ...]:
    """Manifests below `folder`, relative and sorted; hidden ones and symlinks left out."""
    names = []
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            file = Path(path, name)
            if name.endswith(_SUFFIXES) and not name.startswith(".") and not file.is_symlink():
                names.append(file.relative_to(folder).as_posix())
    return tuple(sorted(names))


def _read(path: Path) -> bytes:
    with os_errors(path), path.open("rb") as file:
        data = file.read(_MAX_MANIFEST + 1)
    if len(data) > _MAX_MANIFEST:
        raise LimitError("manifest too large", where=path, want=f"<= {_MAX_MANIFEST} bytes")
    return data
