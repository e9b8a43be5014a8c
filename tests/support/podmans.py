"""podman as root where there is no systemd, with a storage of its own that goes at the end."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def podman_home(registry: str = "") -> Iterator[Mapping[str, str]]:
    """The environment in which Sealift uses it; it takes plain http from `registry` (HOST:PORT)."""
    home = Path(tempfile.mkdtemp(prefix="podman-"))
    (home / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:4096"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
    )
    insecure = f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n' if registry else ""
    (home / "registries.conf").write_text(insecure)
    command = f"podman --root {home}/root --runroot {home}/run --storage-driver vfs"
    try:
        yield {
            "CONTAINERS_CONF": str(home / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(home / "registries.conf"),
            "SEALIFT_ENGINE": command,
        }
    finally:
        subprocess.run([*command.split(), "rmi", "-af"], capture_output=True)
        shutil.rmtree(home, ignore_errors=True)
