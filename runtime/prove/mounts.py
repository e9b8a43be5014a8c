"""What a machine mounts: a tree in which the node's own paths are private and nothing else can be written. Pure.

The paths of RKE2 stay what they are; below them lie folders of the proof. The kubelet sets sysctls of the whole host
(k8s pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables), none of which has a namespace: private files that
already hold what it wants are mounted over them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.prove.cgroups import FOLDER, Hierarchy

RUN_FOLDERS: Final = ("lock", "netns", "tmp")
TEMPORARY: Final = Path("/run/tmp")
# The machine's path -> the folder of the proof below it.
PRIVATE: Final = {
    Path("/var/lib/rancher"): "rancher",
    Path("/var/lib/kubelet"): "kubelet",
    Path("/var/lib/cni"): "cni",
    Path("/var/log"): "log",
    Path("/etc/rancher"): "etc-rancher",
    Path("/etc/cni"): "etc-cni",
    Path("/opt/cni"): "opt-cni",
}
PRIVATE_FILES: Final = {Path("/etc/hosts"): "hosts", Path("/etc/resolv.conf"): "resolv.conf"}
SYSCTLS: Final = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """One mount: `fstype` empty for what is no new filesystem; `folder` says whether `target` may be made."""

    target: Path
    fstype: str = ""
    source: str = ""
    options: str = ""
    folder: bool = False

    @property
    def argv(self) -> tuple[str, ...]:
        """The command, mount(8)."""
        kind = ("-t", self.fstype) if self.fstype else ()
        options = ("-o", self.options) if self.options else ()
        return ("mount", *kind, *options, *([self.source] if self.source else []), str(self.target))


def plan(home: Path, hierarchies: Sequence[Hierarchy], *, read_only: bool = True) -> tuple[Mount, ...]:
    """All mounts of a machine in their order; `home` is the proof's folder of this machine."""
    private = [_bind(home / name, target) for target, name in PRIVATE.items()]
    files = [_bind(home / name, target) for target, name in PRIVATE_FILES.items()]
    shields = [_bind(home / sysctl_file(name), Path("/proc/sys") / name) for name in SYSCTLS]
    return (
        Mount(target=Path("/proc"), fstype="proc", source="proc"),
        Mount(target=Path("/sys"), fstype="sysfs", source="sysfs"),
        *_groups(hierarchies),
        Mount(target=Path("/run"), fstype="tmpfs", source="tmpfs", options="mode=755"),
        *private,
        *files,
        *shields,
        # Whoever writes outside the folders above would write on the host.
        *([Mount(target=Path("/"), options="remount,bind,ro")] if read_only else []),
        Mount(target=Path("/"), options="rshared"),  # volumes of pods must reach containers
    )


def sysctl_file(name: str) -> str:
    """Where the private value of a sysctl lies below a machine's folder."""
    return f"sysctl/{name.replace('/', '.')}"


def _bind(source: Path, target: Path) -> Mount:
    return Mount(target=target, source=str(source), options="bind")


def _groups(hierarchies: Sequence[Hierarchy]) -> list[Mount]:
    """The control groups as the machine sees them: its own group is the top."""
    mounts = []
    if any(hierarchy.mount != FOLDER for hierarchy in hierarchies):
        mounts.append(Mount(target=FOLDER, fstype="tmpfs", source="tmpfs", options="mode=755"))
    for hierarchy in hierarchies:
        fstype = "cgroup" if hierarchy.version == 1 else "cgroup2"
        mounts.append(
            Mount(target=hierarchy.mount, fstype=fstype, source=fstype, options=hierarchy.options, folder=True)
        )
    return mounts
