"""What containerd's state folder says of the pods that run: their processes, network namespaces and sockets.

One folder per task (containerd runtime/v2, bundle layout): `init.pid`, the OCI `config.json`, and `address` (1.7) or
`bootstrap.json` (2.x) with the shim's socket. Two containerds on one machine share /run/containerd/s, so a socket is
ours only when a task of ours names it.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TASKS: Final = Path("io.containerd.runtime.v2.task") / "k8s.io"
_MAX: Final = 4 << 20  # bytes
_NAMESPACES: Final = ("/run/netns/", "/var/run/netns/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One container or sandbox; empty where its folder does not say."""

    id: str
    pid: int
    netns: str
    socket: str


def read_tasks(state: Path) -> list[Task]:
    """All tasks below containerd's state folder; none when there is none."""
    folder = state / TASKS
    if not folder.is_dir():
        return []
    return [_task(folder / name) for name in sorted(os.listdir(folder))]


def _task(folder: Path) -> Task:
    pid = _text(folder / "init.pid")
    return Task(
        id=folder.name,
        pid=int(pid) if pid.isdigit() else 0,
        netns=netns_of(_json(folder / "config.json")),
        socket=socket_of(_text(folder / "address"), _json(folder / "bootstrap.json")),
    )


def netns_of(config: Any) -> str:
    """OCI config -> path of a network namespace that CNI made; empty for the host's and for those without a name."""
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        for namespace in config["linux"]["namespaces"]:
            path = str(namespace.get("path", ""))
            if namespace["type"] == "network" and path.startswith(_NAMESPACES):
                return path.removeprefix("/var")
    return ""


def socket_of(address: str, bootstrap: Any) -> str:
    """The shim's socket as a path."""
    if not address and isinstance(bootstrap, dict):
        address = str(bootstrap.get("address", ""))
    return address.removeprefix("unix://") if address.startswith("unix:///") else ""


def descendants(roots: Iterable[int], proc: Path = Path("/proc")) -> list[int]:
    """`roots` and everything below them, parents first."""
    found: dict[int, None] = {}
    queue = [pid for pid in roots if pid > 1]
    while queue:
        pid = queue.pop(0)
        if pid not in found:
            found[pid] = None
            queue += _children(pid, proc)
    return list(found)


def runs_in(pid: int, container: str, proc: Path = Path("/proc")) -> bool:
    """Whether a process is in the cgroup of a container: its number may belong to somebody else by now."""
    return bool(container) and f"/{container}" in _text(proc / str(pid) / "cgroup")


def _children(pid: int, proc: Path) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for thread in os.listdir(proc / str(pid) / "task"):
            yield from map(int, _text(proc / str(pid) / "task" / thread / "children").split())


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except ValueError:
        return None
