"""etcd's configuration file and its membership. k3s pkg/etcd/etcd.go and pkg/daemons/executor/executor.go. Pure.

With `listen-client-http-urls` set, port 2379 speaks gRPC alone: health is asked at 2381 (plain, loopback) or 2382
(with a certificate, loopback).
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from runtime.nodeconf.model import NodeConfig, bracketed
from runtime.yamltext import yaml_text

CLIENT_PORT: Final = 2379
PEER_PORT: Final = 2380
METRICS_PORT: Final = 2381
HTTP_PORT: Final = 2382
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """This member and, when it joins, the others.

    Args:
        name: NODE-XXXXXXXX.
        peer_url: how other members reach it.
        cluster: NAME=URL of all members, with commas.
        state: `new`, or `existing` for one that joins.
        token: what tells a cluster that was reset from what it was before; empty: etcd's own default.
        force: for one start, this member is the only one, whatever its data says.
    """

    name: str
    peer_url: str
    cluster: str
    state: str = "new"
    token: str = ""
    force: bool = False

    def options(self) -> dict[str, str]:
        """As etcd's configuration has it."""
        options = {
            "initial-advertise-peer-urls": self.peer_url,
            "initial-cluster": self.cluster,
            "initial-cluster-state": self.state,
        }
        return options | ({"initial-cluster-token": self.token} if self.token else {})


def member_name(node_name: str, octets: bytes) -> str:
    """The node's name and 8 hexadecimal digits of 4 random bytes: a node that comes back empty is another member."""
    return f"{node_name}-{octets[:4].hex()}"


def first_member(node: NodeConfig, name: str, *, token: str = "") -> Membership:
    """The only member of a new cluster."""
    url = peer_url(node)
    return Membership(name=name, peer_url=url, cluster=f"{name}={url}", token=token)


def peer_url(node: NodeConfig) -> str:
    """How other members reach this server."""
    return _url(str(node.node_ip), PEER_PORT)


def etcd_config(node: NodeConfig, membership: Membership) -> str:
    """The configuration file, keys sorted; `etcd-arg` settings go over it."""
    both = (node.loopback, *map(str, node.node_ips))
    tls = node.paths.tls / "etcd"
    document: dict[str, Any] = {
        "name": membership.name,
        "data-dir": str(node.paths.etcd),
        "listen-client-urls": _urls(both, CLIENT_PORT),
        "listen-client-http-urls": _url(node.loopback, HTTP_PORT),
        "listen-metrics-urls": _url(node.loopback, METRICS_PORT, "http"),
        "listen-peer-urls": _urls(both, PEER_PORT),
        "advertise-client-urls": _urls(tuple(map(str, node.node_ips)), CLIENT_PORT),
        **membership.options(),
        **({"force-new-cluster": True} if membership.force else {}),
        "election-timeout": 5000,  # milliseconds, ten times the heartbeat: for slow disks
        "heartbeat-interval": 500,
        "snapshot-count": 10000,
        # Of etcd 3.6; earlier ones take no notice.
        "feature-gates": "InitialCorruptCheck=true",
        "watch-progress-notify-interval": 5_000_000_000,  # nanoseconds
        "logger": "zap",
        "log-outputs": ["stderr"],
        "client-transport-security": _trust(f"{tls}/server-client", f"{tls}/server-ca.crt"),
        "peer-transport-security": _trust(f"{tls}/peer-server-client", f"{tls}/peer-ca.crt"),
    }
    for text in node.extra("etcd"):
        name, _, value = text.partition("=")
        document[name] = _typed(value)
    return yaml_text(document, sort_keys=True)


def _trust(stem: str, authority: str) -> dict[str, Any]:
    return {
        "cert-file": f"{stem}.crt",
        "key-file": f"{stem}.key",
        "trusted-ca-file": authority,
        "client-cert-auth": True,
    }


def _typed(value: str) -> object:
    """An argument's value as the configuration file wants it; a bare argument is true."""
    if _INTEGER.fullmatch(value):
        return int(value)
    return {"": True, "true": True, "false": False}.get(value.lower(), value)


def _urls(addresses: tuple[str, ...], port: int) -> str:
    return ",".join(_url(address, port) for address in addresses)


def _url(address: str, port: int, scheme: str = "https") -> str:
    return f"{scheme}://{bracketed(address)}:{port}"
