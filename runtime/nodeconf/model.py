"""The configuration of one node as a value: everything is checked, nothing is looked up later.

Keys and defaults are RKE2's: docs "Server configuration reference", k3s pkg/cli/cmds/server.go and pkg/cli/server.
Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Final, Literal

from runtime.nodepaths import NodePaths

Role = Literal["server", "agent"]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

API_PORT: Final = 6443
SUPERVISOR_PORT: Final = 9345
CLUSTER_NETWORKS: Final = {4: "10.42.0.0/16", 6: "fd42::/56"}
SERVICE_NETWORKS: Final = {4: "10.43.0.0/16", 6: "fd43::/112"}
CLUSTER_DOMAIN: Final = "cluster.local"
NODE_PORTS: Final = "30000-32767"
SNAPSHOTTER: Final = "overlayfs"
RESOLV_CONF: Final = Path("/etc/resolv.conf")
# The components that take `NAME-arg` settings.
COMPONENTS: Final = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "helm-controller",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Taint:
    """A taint the node registers with."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A secret, or the file that holds it; `repr` keeps it out of logs."""

    text: str | None = field(default=None, repr=False)
    file: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshots:
    """Snapshots of etcd: `schedule` in cron's words, `retention` the newest that are kept (0: all), `name` how theirs
    begin, `folder` None: RKE2's own.
    """

    enabled: bool = True
    schedule: str = "0 */12 * * *"
    retention: int = 5
    name: str = "etcd-snapshot"
    folder: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeConfig:
    """One node.

    Args:
        role: server (control plane and agent) or agent.
        paths: where its files lie.
        node_name: the Node object's name, lower case.
        node_ips: one address, or one of each family; the first is the one that others are told.
        bind_address: where the apiserver listens.
        advertise_address: the apiserver's address for pods and other servers.
        tls_sans: further names and addresses of the apiserver.
        cluster_cidrs: pod networks, one per family.
        service_cidrs: service networks, one per family.
        node_ports: range of NodePort services, `FIRST-LAST`.
        cluster_dns: addresses of the cluster's DNS service.
        cluster_domain: the DNS domain of the cluster.
        labels: `KEY=VALUE` of the Node object.
        taints: of the Node object.
        server_url: the supervisor that an agent joins.
        token: what to join with; None: made at the first start of a server.
        agent_token: what agents join with; None: the same.
        arguments: extra arguments by component, without leading hyphens.
        images: image references by RKE2's key (`etcd-image`, ...), as typed.
        registry: `system-default-registry`, prepended to the images that are not overridden; empty: none.
        private_registry: the file of registries that `private-registry` names; None: RKE2's own, if it is there.
        default_endpoints: False with `disable-default-registry-endpoint`: mirrored registries are not asked themselves.
        disabled: names of charts and manifests that are not to run.
        cni: the pod network, `none` for one of the site's own; empty: the bundle's default.
        ingress: who serves Ingresses, the class of those that name none first; `none` alone; empty: the default.
        kube_proxy: False with `disable-kube-proxy`.
        requests: `COMPONENT-cpu` and `COMPONENT-memory` of the static pods, where they differ from the defaults.
        limits: the same for limits.
        snapshotter: containerd's.
        resolv_conf: the file that pods with the node's DNS get.
        protect_kernel_defaults: the kubelet fails instead of changing sysctls.
        snapshots: of etcd, on servers.
        debug: programs talk more.
    """

    role: Role
    paths: NodePaths
    node_name: str
    node_ips: tuple[Address, ...]
    bind_address: Address
    advertise_address: Address
    tls_sans: tuple[str, ...]
    cluster_cidrs: tuple[Network, ...]
    service_cidrs: tuple[Network, ...]
    cluster_dns: tuple[Address, ...]
    node_ports: str = NODE_PORTS
    cluster_domain: str = CLUSTER_DOMAIN
    labels: tuple[str, ...] = ()
    taints: tuple[Taint, ...] = ()
    server_url: str | None = None
    token: Token | None = None
    agent_token: Token | None = None
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    registry: str = ""
    private_registry: Path | None = None
    default_endpoints: bool = True
    disabled: frozenset[str] = frozenset()
    cni: str = ""
    ingress: tuple[str, ...] = ()
    kube_proxy: bool = True
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    snapshotter: str = SNAPSHOTTER
    resolv_conf: Path = RESOLV_CONF
    protect_kernel_defaults: bool = False
    snapshots: Snapshots = Snapshots()
    debug: bool = False

    @property
    def node_ip(self) -> Address:
        """The address that others are told."""
        return self.node_ips[0]

    @property
    def loopback(self) -> str:
        """The loopback address of the node's first family."""
        return "127.0.0.1" if self.node_ip.version == 4 else "::1"

    @property
    def api_url(self) -> str:
        """The apiserver, for programs on the same server."""
        return f"https://{bracketed(self.loopback)}:{API_PORT}"

    @property
    def service_ips(self) -> tuple[Address, ...]:
        """The `kubernetes` service: the first address of each service network."""
        return tuple(network[1] for network in self.service_cidrs)

    def extra(self, component: str) -> tuple[str, ...]:
        """The extra arguments of a component."""
        return tuple(self.arguments.get(component, ()))


def bracketed(address: str | Address) -> str:
    """An address as it stands in a URL."""
    text = str(address)
    return f"[{text}]" if ":" in text else text


def joined(values: tuple[Address, ...] | tuple[Network, ...]) -> str:
    """Addresses or networks as Kubernetes wants them in one argument."""
    return ",".join(map(str, values))
