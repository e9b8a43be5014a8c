"""Which authorities and certificates a node has: RKE2's files, subjects, names and usages.

k3s pkg/daemons/control/deps/deps.go (server), pkg/agent/config/config.go (agent); the subjects are those that the
apiserver's bootstrap roles and the node authorizer know. Paths are relative and without `.crt` and `.key`. Pure.

What differs from RKE2: an agent's keys are made on the agent, so the server keeps no client-kubelet.key,
serving-kubelet.key and client-kube-proxy.key; nothing runs as rke2-controller or rke2-cloud-controller.
"""

from dataclasses import dataclass
from typing import Final

from runtime.nodeconf.model import NodeConfig

MASTERS: Final = "system:masters"


@dataclass(frozen=True, kw_only=True, slots=True)
class Authority:
    """A self-signed authority: `path` below server/tls, `prefix` of its common name PREFIX@SECONDS.

    `alone`: a copy of its first certificate is kept as PATH.nochain.crt, which the controller manager signs with.
    """

    path: str
    prefix: str
    alone: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """A certificate: `path`, the authority that signs it, its subject, names and usages."""

    path: str
    authority: Authority
    common_name: str
    organization: str = ""
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    server: bool = False
    client: bool = False


CLIENT_CA: Final = Authority(path="client-ca", prefix="rke2-client-ca", alone=True)
SERVER_CA: Final = Authority(path="server-ca", prefix="rke2-server-ca", alone=True)
REQUEST_HEADER_CA: Final = Authority(path="request-header-ca", prefix="rke2-request-header-ca")
ETCD_SERVER_CA: Final = Authority(path="etcd/server-ca", prefix="etcd-server-ca")
ETCD_PEER_CA: Final = Authority(path="etcd/peer-ca", prefix="etcd-peer-ca")
AUTHORITIES: Final = (CLIENT_CA, SERVER_CA, REQUEST_HEADER_CA, ETCD_SERVER_CA, ETCD_PEER_CA)

_LOOPBACKS: Final = ("127.0.0.1", "::1")


def server_leaves(node: NodeConfig) -> tuple[Leaf, ...]:
    """The certificates below server/tls."""
    return (*_clients(), *_serving(node), *_etcd(node))


def agent_leaves(node: NodeConfig) -> tuple[Leaf, ...]:
    """The certificates below agent: the kubelet's two and kube-proxy's."""
    return (
        Leaf(
            path="serving-kubelet",
            authority=SERVER_CA,
            common_name=node.node_name,
            names=(node.node_name, "localhost"),
            addresses=_unique(*map(str, node.node_ips), *_LOOPBACKS),
            server=True,
        ),
        _client("client-kubelet", f"system:node:{node.node_name}", "system:nodes"),
        _client("client-kube-proxy", "system:kube-proxy"),
    )


def _clients() -> tuple[Leaf, ...]:
    return (
        _client("client-admin", "system:admin", MASTERS),
        _client("client-supervisor", "system:rke2-supervisor", MASTERS),
        _client("client-controller", "system:kube-controller-manager"),
        _client("client-scheduler", "system:kube-scheduler"),
        _client("client-kube-apiserver", "system:apiserver", MASTERS),
        Leaf(path="client-auth-proxy", authority=REQUEST_HEADER_CA, common_name="system:auth-proxy", client=True),
    )


def _serving(node: NodeConfig) -> tuple[Leaf, ...]:
    service = "kubernetes.default.svc"
    given_names, given_addresses = _split(node.tls_sans)
    kubernetes = ("kubernetes", "kubernetes.default", service, f"{service}.{node.cluster_domain}")
    apiserver = Leaf(
        path="serving-kube-apiserver",
        authority=SERVER_CA,
        common_name="kube-apiserver",
        names=_unique(*kubernetes, "localhost", node.node_name, *given_names),
        addresses=_unique(
            *_LOOPBACKS,
            *map(str, node.node_ips),
            str(node.advertise_address),
            *map(str, node.service_ips),
            *given_addresses,
        ),
        server=True,
    )
    # k3s' dynamiclistener keeps dynamic-cert.json; the names of ours are known, so it is a certificate as others.
    supervisor = Leaf(
        path="serving-supervisor",
        authority=SERVER_CA,
        common_name="rke2",
        names=_unique("localhost", node.node_name, *kubernetes, *given_names),
        addresses=_unique(*_LOOPBACKS, *map(str, node.node_ips), str(node.advertise_address), *given_addresses),
        server=True,
    )
    local = tuple(
        Leaf(
            path=f"{name}/{name}",
            authority=SERVER_CA,
            common_name=name,
            names=("localhost",),
            addresses=_LOOPBACKS,
            server=True,
        )
        for name in ("kube-scheduler", "kube-controller-manager")
    )
    return (apiserver, supervisor, *local)


def _etcd(node: NodeConfig) -> tuple[Leaf, ...]:
    """etcd's server presents its certificate as a client to itself, so both of its kinds have both usages."""
    names = ("localhost", node.node_name)
    addresses = _unique(*_LOOPBACKS, *map(str, node.node_ips))
    return (
        Leaf(
            path="etcd/server-client",
            authority=ETCD_SERVER_CA,
            common_name="etcd-server",
            names=names,
            addresses=addresses,
            server=True,
            client=True,
        ),
        Leaf(
            path="etcd/peer-server-client",
            authority=ETCD_PEER_CA,
            common_name="etcd-peer",
            names=names,
            addresses=addresses,
            server=True,
            client=True,
        ),
        Leaf(path="etcd/client", authority=ETCD_SERVER_CA, common_name="etcd-client", client=True),
    )


def _client(path: str, common_name: str, organization: str = "") -> Leaf:
    return Leaf(path=path, authority=CLIENT_CA, common_name=common_name, organization=organization, client=True)


def _split(sans: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Checked SANs -> names and addresses: only addresses consist of digits and dots, or have a colon."""
    addresses = [san for san in sans if ":" in san or san.replace(".", "").isdigit()]
    return [san for san in sans if san not in addresses], addresses


def _unique(*texts: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
