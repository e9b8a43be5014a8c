"""containerd's configuration (version 2, which 1.7 and 2.x read) and crictl's.

k3s pkg/agent/templates/templates.go; docs/cri/config.md of containerd. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bundles.reference import Reference
from runtime.configs.toml import Table, table, value
from runtime.nodeconf.model import NodeConfig
from runtime.nodepaths import NodePaths

_CRI: Final = "io.containerd.grpc.v1.cri"
_RUNC: Final = f'plugins."{_CRI}".containerd.runtimes.runc'


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """What the machine decides.

    Args:
        systemd: cgroups are systemd's.
        keeps_oom_score: without CAP_SYS_RESOURCE nobody may lower an oom_score_adj, and every sandbox would fail over
            the negative one that it asks for: containerd must then keep to its own score.
    """

    systemd: bool
    keeps_oom_score: bool


def containerd_config(
    node: NodeConfig, pause: Reference, host: Host, keys: Mapping[str, Table] = MappingProxyType({})
) -> str:
    """config.toml; `pause` is the sandboxes' image, `keys` the credentials by registry: the file is secret."""
    paths = node.paths
    cri: Table = {
        "stream_server_address": node.loopback,
        "stream_server_port": "10010",
        "enable_selinux": False,
        "enable_unprivileged_ports": True,
        "enable_unprivileged_icmp": True,
        "device_ownership_from_security_context": False,
        "restrict_oom_score_adj": host.keeps_oom_score,
        "sandbox_image": pause.index_name,
    }
    tables: tuple[tuple[str, Table], ...] = (
        ("", {"version": 2, "root": str(paths.containerd_root), "state": str(paths.state)}),
        ("grpc", {"address": str(paths.socket)}),
        ('plugins."io.containerd.internal.v1.opt"', {"path": str(paths.containerd_root)}),
        (f'plugins."{_CRI}"', cri),
        (
            f'plugins."{_CRI}".containerd',
            {"snapshotter": node.snapshotter, "disable_snapshot_annotations": True},
        ),
        (_RUNC, {"runtime_type": "io.containerd.runc.v2"}),
        (f"{_RUNC}.options", {"SystemdCgroup": host.systemd}),
        (f'plugins."{_CRI}".registry', {"config_path": str(paths.registry_hosts)}),
        *((f'plugins."{_CRI}".registry.configs.{value(name)}.auth', words) for name, words in keys.items()),
    )
    note = "# Written by sealift-node at every start.\n"
    return note + "\n".join(table(name, values) for name, values in tables)


def crictl_config(paths: NodePaths) -> str:
    """crictl.yaml, which CRI_CONFIG_FILE names."""
    return f"runtime-endpoint: {paths.endpoint}\n"
