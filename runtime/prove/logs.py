"""The logs of a machine, copied out before it goes."""

import shutil
from pathlib import Path
from typing import Final

from bundles.files import os_errors
from runtime.prove.boot import host_layout

_MACHINE: Final = ("server.log", "agent.log", "machine.log", "proxy.log", "forward.log", "written.log", "log/pods")
_DATA: Final = ("agent/containerd/containerd.log", "agent/logs", "agent/sealift/daemon.json", "agent/pod-manifests")


def keep_logs(home: Path, folder: Path) -> None:
    """Copies the logs of the machine with the folder `home` into `folder`, which is made. Raises SealiftError."""
    sources = [home / name for name in _MACHINE] + [host_layout(home).data / name for name in _DATA]
    with os_errors(folder):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, folder / source.name, dirs_exist_ok=True, ignore_dangling_symlinks=True)
            elif source.is_file():
                shutil.copy(source, folder / source.name)
