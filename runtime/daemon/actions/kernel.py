"""The stage `kernel`: what pods need of the machine, and what it was before, so that reset can put it back.

k3s pkg/agent/syssetup (Configure): modules, forwarding, bridged packets through the packet filter. The kubelet sets
further ones by itself (pkg/kubelet/cm, setupKernelTunables): those are only remembered here.
"""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from bundles import jsontext
from bundles.errors import FormatError, SealiftError
from bundles.files import os_errors, write_atomic
from runtime import process
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.folders import ensure_folder
from runtime.layout import NodeLayout
from runtime.reset import traces

MODULES: Final = ("overlay", "br_netfilter", "nf_conntrack")
WANTED: Final = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/forwarding": "1",
    "net/ipv4/conf/default/forwarding": "1",
    "net/ipv6/conf/all/forwarding": "1",
    "net/ipv6/conf/default/forwarding": "1",
    "net/bridge/bridge-nf-call-iptables": "1",
    "net/bridge/bridge-nf-call-ip6tables": "1",
}
# Without these no pod reaches another; the others may be missing or refused (no IPv6, no bridge module).
_NEEDED: Final = ("net/ipv4/ip_forward",)
OF_KUBELET: Final = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_SYS: Final = Path("/proc/sys")
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_MAX: Final = 1 << 16  # bytes


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """kernel.json: settings by their path below /proc/sys, as they were when this boot's first run began."""

    format: str
    boot: str
    settings: dict[str, str]


def before_path(layout: NodeLayout) -> Path:
    """Beside admitted.json."""
    return layout.admitted.with_name("kernel.json")


async def prepare_kernel(node: Node, control: Control) -> str:
    """Modules where modprobe exists; then the settings, each only when it differs."""
    for module in MODULES:
        try:
            await process.call(["modprobe", "-q", module], env=dict(node.environment), check=False)
        except SealiftError:
            break  # no modprobe: a kernel with everything built in, or a container
    return await asyncio.to_thread(_settle, node)


def _settle(node: Node) -> str:
    remember(node.layout)
    traces.remember(node.layout, node.paths)
    changed = 0
    for name, value in WANTED.items():
        if (found := read_setting(name)) is None or found == value:
            continue
        try:
            write_setting(name, value)
            changed += 1
        except SealiftError:
            if name in _NEEDED:
                raise
    return f"{changed} settings changed"


def remember(layout: NodeLayout) -> None:
    """Writes kernel.json unless this boot of the machine has one: a later run would remember our own changes."""
    boot = _BOOT.read_text().strip()
    before = read_before(layout)
    if before is not None and before.boot == boot:
        return
    found = {name: value for name in (*WANTED, *OF_KUBELET) if (value := read_setting(name)) is not None}
    ensure_folder(before_path(layout).parent)
    write_atomic(before_path(layout), jsontext.encode_canonical(Before(format="1.0", boot=boot, settings=found)))


def read_before(layout: NodeLayout) -> Before | None:
    """kernel.json; None when there is none that can be understood."""
    path = before_path(layout)
    try:
        return jsontext.decode(path.read_bytes()[:_MAX], Before, where=path)
    except (FileNotFoundError, FormatError):
        return None


def restore(layout: NodeLayout) -> list[str]:
    """Puts back what differs from kernel.json, when it is of this boot -> the names."""
    before = read_before(layout)
    if before is None or before.boot != _BOOT.read_text().strip():
        return []
    changed = []
    for name, value in before.settings.items():
        if read_setting(name) not in (None, value):
            write_setting(name, value)
            changed.append(name)
    return changed


def read_setting(name: str) -> str | None:
    """One setting; None when this kernel does not have it."""
    try:
        return (_SYS / name).read_text().strip()
    except OSError:
        return None


def write_setting(name: str, value: str) -> None:
    """Raises SealiftError when the kernel refuses."""
    with os_errors(_SYS / name):
        (_SYS / name).write_text(f"{value}\n")
