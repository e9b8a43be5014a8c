"""What the hand-made boot is told, and the paths it works with: those of RKE2."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DATA: Final = Path("/var/lib/rancher/rke2")
AGENT: Final = DATA / "agent"
SERVER: Final = DATA / "server"
TLS: Final = SERVER / "tls"
CRED: Final = SERVER / "cred"
ETCD: Final = SERVER / "db/etcd"
MANIFESTS: Final = AGENT / "pod-manifests"
BIN: Final = DATA / "data/by-hand/bin"
CHARTS: Final = DATA / "data/by-hand/charts"
SOCKET: Final = Path("/run/k3s/containerd/containerd.sock")
API: Final = "https://127.0.0.1:6443"
ADMIN: Final = CRED / "admin.kubeconfig"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`images` by role: etcd, kubernetes, helm-controller, klipper-helm, pause; `archives` to import, in order.

    `runtime` is the archive with the programs, `result` the file that takes the time line.
    """

    node: str
    address: str
    runtime: str
    archives: list[str]
    images: dict[str, str]
    result: str

    @classmethod
    def read(cls, path: str) -> "Settings":
        """From a JSON file."""
        return cls(**json.loads(Path(path).read_text()))


def write(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
