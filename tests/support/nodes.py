"""Configurations of nodes for tests, and what the daemon writes at a start, below a folder of the test."""

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from bundles.reference import Reference
from runtime.configs.containerd import Host
from runtime.configs.etcd import Membership, first_member
from runtime.configs.write import write_agent_files, write_containerd_config, write_server_files
from runtime.entropy import SystemEntropy
from runtime.nodeconf.model import NodeConfig, Role
from runtime.nodeconf.parse import Machine, parse
from runtime.nodeconf.settings import from_flags
from runtime.nodepaths import NodePaths
from runtime.pki.ensure import Outcome, ensure_agent_pki, ensure_server_pki
from runtime.staticpods.apiserver import apiserver_pod
from runtime.staticpods.controllers import controller_manager_pod
from runtime.staticpods.etcd import etcd_pod
from runtime.staticpods.helm import helm_pod
from runtime.staticpods.model import PodSpec
from runtime.staticpods.proxy import proxy_pod
from runtime.staticpods.scheduler import scheduler_pod

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACHINE = Machine(hostname="n1", address=ipaddress.ip_address("192.0.2.11"))
PAUSE = Reference.parse("rancher/mirrored-pause:3.10.1")
IMAGE = Reference.parse("rancher/hardened-kubernetes:v1.34.4-rke2r1-build20260211")
HOST = Host(systemd=False, keeps_oom_score=True)


class FewKeys(SystemEntropy):
    """One RSA key for all tests: making one takes longer than all the rest."""

    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token_key(self) -> rsa.RSAPrivateKey:
        return self.rsa_key


def node_paths(root: Path) -> NodePaths:
    """Everything of the node below one folder."""
    return NodePaths(root / "data", etc=root / "etc", state=root / "run", kubelet_root=root / "kubelet")


def node_config(root: Path, *settings: tuple[str, str], role: Role = "server") -> NodeConfig:
    """A node called n1 with settings as flags."""
    flags = from_flags(settings)
    return parse(flags, role=role, paths=node_paths(root), machine=MACHINE, where="test").config


def ensure_pki(node: NodeConfig, now: datetime = NOW, entropy: SystemEntropy | None = None) -> Outcome:
    """All certificates of a server and its agent, as each start does it."""
    outcome, source = Outcome(), entropy or FewKeys()
    signers = ensure_server_pki(node, now=now, entropy=source, outcome=outcome)
    ensure_agent_pki(node, signers, now=now, entropy=source, outcome=outcome)
    return outcome


def start(node: NodeConfig) -> Membership:
    """All files that a start of a server writes but its manifests."""
    ensure_pki(node)
    membership = write_server_files(node, entropy=FewKeys())
    assert membership is not None
    write_agent_files(node, host=HOST)
    write_containerd_config(node, pause=PAUSE, host=HOST, said="containerd example.org/containerd v1.7.35")
    return membership


def static_pods(node: NodeConfig) -> dict[str, PodSpec]:
    """All of a server's, by name."""
    ssl = (Path("/etc/ssl/certs"),)
    member = first_member(node, "n1-0a1b2c3d")
    specs = (
        etcd_pod(node, IMAGE, member),
        apiserver_pod(node, IMAGE, ssl),
        controller_manager_pod(node, IMAGE, ssl),
        scheduler_pod(node, IMAGE),
        proxy_pod(node, IMAGE),
        helm_pod(node, IMAGE, Reference.parse("rancher/klipper-helm:v1")),
    )
    return {spec.name: spec for spec in specs}
