"""Configurations of nodes for tests, below a folder of the test."""

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

from runtime.nodeconf.model import NodeConfig, Role
from runtime.nodeconf.parse import Machine, parse
from runtime.nodeconf.settings import from_flags
from runtime.nodepaths import NodePaths

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACHINE = Machine(hostname="n1", address=ipaddress.ip_address("192.0.2.11"))


def node_paths(root: Path) -> NodePaths:
    """Everything of the node below one folder."""
    return NodePaths(root / "data", etc=root / "etc", state=root / "run", kubelet_root=root / "kubelet")


def node_config(root: Path, *settings: tuple[str, str], role: Role = "server") -> NodeConfig:
    """A node called n1 with settings as flags."""
    flags = from_flags(settings)
    return parse(flags, role=role, paths=node_paths(root), machine=MACHINE, where="test").config
