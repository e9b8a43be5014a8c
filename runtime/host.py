"""What the machine says of itself: name, address, capabilities, folders. Read once and passed on as values.

k3s pkg/util/net.go (the address of the default route), pkg/cgroups (who owns the cgroups); capabilities(7),
proc_pid_status(5).
"""

import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.platform import Platform, from_machine
from runtime.configs.containerd import Host
from runtime.nodeconf.model import Address
from runtime.nodeconf.parse import Machine

CAP_SYS_RESOURCE: Final = 24
# Documentation addresses (RFC 5737, RFC 3849): a UDP socket is connected to them, and nothing is sent.
_ANYWHERE: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


@dataclass(frozen=True, kw_only=True, slots=True)
class HostFacts:
    """The machine: for the configuration, for containerd, and which of the asked folders exist."""

    machine: Machine
    containerd: Host
    ssl_folders: tuple[Path, ...]


def look(environment: Mapping[str, str], ssl_folders: Sequence[Path]) -> HostFacts:
    """Asks the machine. `environment`: systemd gives INVOCATION_ID to what it starts."""
    status = Path("/proc/self/status").read_text()
    cgroups = Path("/proc/cgroups").read_text() if Path("/proc/cgroups").exists() else ""
    return HostFacts(
        machine=Machine(hostname=os.uname().nodename, address=_default_address()),
        containerd=Host(
            systemd="INVOCATION_ID" in environment and has_controller(cgroups, "cpuset"),
            keeps_oom_score=not has_capability(status, CAP_SYS_RESOURCE),
        ),
        ssl_folders=tuple(folder for folder in ssl_folders if folder.is_dir()),
    )


def platform() -> Platform:
    """This machine's. Raises FormatError for one that no bundle is for."""
    machine = os.uname()
    return from_machine(machine.sysname, machine.machine)


def has_capability(status: str, number: int) -> bool:
    """/proc/PID/status -> whether the capability is effective."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value.strip(), 16) >> number & 1)
    return False


def has_controller(cgroups: str, name: str) -> bool:
    """/proc/cgroups -> whether the kernel has a cgroup controller and it is enabled."""
    rows = (line.split() for line in cgroups.splitlines() if not line.startswith("#"))
    return any(row[0] == name and row[-1] == "1" for row in rows if len(row) == 4)


def _default_address() -> Address | None:
    """The address that the default route gives to what leaves the machine, IPv4 first; None without a route."""
    for family, anywhere in _ANYWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
                probe.connect((anywhere, 9))
                address = ipaddress.ip_address(probe.getsockname()[0])
        except OSError:
            continue
        if not address.is_loopback and not address.is_link_local:
            return address
    return None
