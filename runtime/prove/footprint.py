"""What the host looks like, before and after: a proof must leave nothing, and says so only when it has looked."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.prove.namespaces import namespaces_of

_PROC: Final = Path("/proc")
# Settings of the whole host that programs of a node set or could set; those of a network namespace end with it.
_SETTINGS: Final = ("kernel", "vm", "fs", "net/core", "net/netfilter")
_MOVING: Final = frozenset({"kernel/ns_last_pid", "kernel/random/boot_id", "vm/drop_caches", "vm/compact_memory"})
# Interfaces and rules of a node, should they ever reach the host's own network.
_INTERFACES: Final = ("cni0", "flannel", "kube-", "port1", "br0")
_RULES: Final = ("KUBE-", "FLANNEL", "CNI-", "sealift_prove")


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """The host at one moment: sysctls by name, names of suspicious interfaces, lines of suspicious rules."""

    sysctls: tuple[tuple[str, str], ...]
    interfaces: frozenset[str]
    rules: frozenset[str]


def look(ruleset: str, proc: Path = _PROC, net: Path = Path("/sys/class/net")) -> Footprint:
    """The host now; `ruleset` is what `nft -s list ruleset` says of its own network."""
    names = [entry.name for entry in net.iterdir()] if net.is_dir() else []
    return Footprint(
        sysctls=tuple(_sysctls(proc / "sys")),
        interfaces=frozenset(name for name in names if name.startswith(_INTERFACES)),
        rules=frozenset(line.strip() for line in ruleset.splitlines() if any(word in line for word in _RULES)),
    )


def differences(before: Footprint, after: Footprint) -> tuple[str, ...]:
    """What is there now and was not, or is different, in words. Pure."""
    old = dict(before.sysctls)
    changed = [
        f"sysctl {name} was {old[name]!r}, is {value!r}"
        for name, value in after.sysctls
        if old.get(name, value) != value
    ]
    links = [f"interface {name}" for name in sorted(after.interfaces - before.interfaces)]
    return (*changed, *links, *(f"rule {line}" for line in sorted(after.rules - before.rules)))


def still_there(namespaces: frozenset[str], marks: tuple[str, ...]) -> tuple[str, ...]:
    """Processes in one of `namespaces` or a control group with one of `marks`; mounts that name one of `marks`.

    The namespaces are held open: the kernel gives the number of one that is gone to the next.
    """
    found = []
    for pid in _pids():
        with contextlib.suppress(OSError):
            groups = (_PROC / str(pid) / "cgroup").read_text()
            if namespaces & namespaces_of(pid) or any(mark in groups for mark in marks):
                found.append(f"process {pid} ({(_PROC / str(pid) / 'comm').read_text().strip()})")
    mounts = (_PROC / "self/mountinfo").read_text().splitlines()
    found += [f"mount {line.split()[4]}" for line in mounts if any(mark in line for mark in marks)]
    return tuple(found)


def _pids() -> Iterator[int]:
    for name in os.listdir(_PROC):
        if name.isdigit():
            yield int(name)


def _sysctls(root: Path) -> Iterator[tuple[str, str]]:
    for top in _SETTINGS:
        for path, _, names in os.walk(root / top):
            for name in sorted(names):
                file = Path(path, name)
                key = file.relative_to(root).as_posix()
                if key in _MOVING:
                    continue
                with contextlib.suppress(OSError):
                    if file.stat().st_mode & 0o200:  # what cannot be set is no setting
                        yield key, file.read_text(errors="replace").strip()
