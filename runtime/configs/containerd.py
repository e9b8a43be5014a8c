"""containerd's configuration, in the version that the bundle's containerd wants, and crictl's.

Version 2 is for 1.7 (2.x reads it, too), version 3 for 2.x alone: 1.7 exits on it. RKE2 1.34 writes version 3.
k3s pkg/agent/templates/templates.go; docs/cri/config.md and docs/containerd-2.0.md of containerd. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from bundles.reference import Reference
from runtime.configs.toml import Table, table, value
from runtime.nodeconf.model import NodeConfig
from runtime.nodepaths import NodePaths

_CRI: Final = "io.containerd.grpc.v1.cri"
_IMAGES: Final = "io.containerd.cri.v1.images"  # version 3 has them apart
_RUNTIME: Final = "io.containerd.cri.v1.runtime"
_SAID: Final = re.compile(r"containerd \S+ v?([0-9]+)\.[0-9]")
_DROP_INS: Final = "config-v3.toml.d"  # where RKE2's administrators put theirs


Tables = tuple[tuple[str, Table], ...]


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


def config_version(said: str) -> int:
    """What `containerd --version` says -> the version of its configuration: 3 from 2.0 on.

    Whoever says something else gets version 2, which all of them read.
    """
    found = _SAID.match(said)
    return 3 if found is not None and int(found[1]) >= 2 else 2


def containerd_config(
    node: NodeConfig,
    pause: Reference,
    host: Host,
    keys: Mapping[str, Table] = MappingProxyType({}),
    *,
    version: int = 2,
) -> str:
    """config.toml; `pause` is the sandboxes' image, `keys` the credentials by registry: the file is secret."""
    write = _version_3 if version == 3 else _version_2
    tables = write(node, pause, host, keys)
    return "# Written by sealift-node at every start.\n" + "\n".join(table(name, values) for name, values in tables)


def _version_2(node: NodeConfig, pause: Reference, host: Host, keys: Mapping[str, Table]) -> Tables:
    paths = node.paths
    runc = f'plugins."{_CRI}".containerd.runtimes.runc'
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
    return (
        ("", {"version": 2, "root": str(paths.containerd_root), "state": str(paths.state)}),
        ("grpc", {"address": str(paths.socket)}),
        ('plugins."io.containerd.internal.v1.opt"', {"path": str(paths.containerd_root)}),
        (f'plugins."{_CRI}"', cri),
        (
            f'plugins."{_CRI}".containerd',
            {"snapshotter": node.snapshotter, "disable_snapshot_annotations": True},
        ),
        (runc, {"runtime_type": "io.containerd.runc.v2"}),
        (f"{runc}.options", {"SystemdCgroup": host.systemd}),
        (f'plugins."{_CRI}".registry', {"config_path": str(paths.registry_hosts)}),
        *((f'plugins."{_CRI}".registry.configs.{value(name)}.auth', words) for name, words in keys.items()),
    )


def _version_3(node: NodeConfig, pause: Reference, host: Host, keys: Mapping[str, Table]) -> Tables:
    """RKE2's own tables in its order. Where nothing keeps oom_score_adj, there is no word of it, as in RKE2's."""
    paths = node.paths
    runc = f'plugins."{_RUNTIME}".containerd.runtimes.runc'
    drop_ins = str(paths.containerd_config.parent / _DROP_INS / "*.toml")
    runtime: Table = {
        "enable_selinux": False,
        "enable_unprivileged_ports": True,
        "enable_unprivileged_icmp": True,
        "device_ownership_from_security_context": False,
        **({"restrict_oom_score_adj": True} if host.keeps_oom_score else {}),
    }
    images: Table = {
        "snapshotter": node.snapshotter,
        "disable_snapshot_annotations": True,
        "use_local_image_pull": True,
    }
    return (
        (
            "",
            {
                "version": 3,
                "imports": [drop_ins],
                "root": str(paths.containerd_root),
                "state": str(paths.state),
            },
        ),
        ("grpc", {"address": str(paths.socket)}),
        ('plugins."io.containerd.internal.v1.opt"', {"path": str(paths.containerd_root)}),
        (f'plugins."{_CRI}"', {"stream_server_address": node.loopback, "stream_server_port": "10010"}),
        (f'plugins."{_RUNTIME}"', runtime),
        (f'plugins."{_IMAGES}"', images),
        (f'plugins."{_IMAGES}".pinned_images', {"sandbox": pause.index_name}),
        (runc, {"runtime_type": "io.containerd.runc.v2"}),
        (f"{runc}.options", {"SystemdCgroup": host.systemd}),
        (f'plugins."{_IMAGES}".registry', {"config_path": str(paths.registry_hosts)}),
        *((f'plugins."{_IMAGES}".registry.configs.{value(name)}.auth', words) for name, words in keys.items()),
    )


def crictl_config(paths: NodePaths) -> str:
    """crictl.yaml, which CRI_CONFIG_FILE names."""
    return f"runtime-endpoint: {paths.endpoint}\n"
