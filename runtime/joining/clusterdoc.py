"""What a server tells agents of the cluster, and what an agent makes of it. k3s' names of fields. Pure.

k3s pkg/daemons/config, Control: a server sends its whole structure; this is the part that agents read. Networks are
Go's net.IPNet in JSON: an address and a mask in base64.
"""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from bundles.errors import FormatError
from runtime.nodeconf.model import API_PORT, SUPERVISOR_PORT, Address, Network, NodeConfig

_MAX_LIST: Final = 8


def cluster_document(node: NodeConfig) -> dict[str, Any]:
    """A server's configuration -> the document."""
    return {
        "ClusterIPRanges": [_network(network) for network in node.cluster_cidrs],
        "ClusterIPRange": _network(node.cluster_cidrs[0]),
        "ServiceIPRanges": [_network(network) for network in node.service_cidrs],
        "ServiceIPRange": _network(node.service_cidrs[0]),
        "ClusterDNSs": [str(address) for address in node.cluster_dns],
        "ClusterDNS": str(node.cluster_dns[0]),
        "ClusterDomain": node.cluster_domain,
        "DisableKubeProxy": not node.kube_proxy,
        "DisableHelmController": False,
        "DisableCCM": True,
        "DisableNPC": True,
        "DisableServiceLB": True,
        "EncryptSecrets": True,
        "EmbeddedRegistry": False,
        "EgressSelectorMode": "disabled",
        "FlannelBackend": "none",
        "HTTPSPort": API_PORT,
        "SupervisorPort": SUPERVISOR_PORT,
        "SystemDefaultRegistry": node.registry,
    }


def with_cluster(node: NodeConfig, document: object, *, where: object) -> NodeConfig:
    """An agent's configuration with what the cluster has decided. Raises FormatError for a document that is none."""
    if not isinstance(document, dict):
        raise FormatError("not the configuration of a cluster", where=where, got=type(document).__name__)
    reader = _Reader(cast("Mapping[str, object]", document), where)
    return replace(
        node,
        cluster_cidrs=reader.networks("ClusterIPRanges"),
        service_cidrs=reader.networks("ServiceIPRanges"),
        cluster_dns=reader.addresses("ClusterDNSs"),
        cluster_domain=reader.text("ClusterDomain"),
        kube_proxy=not reader.flag("DisableKubeProxy"),
        registry=node.registry or reader.text("SystemDefaultRegistry"),
    )


class _Reader:
    def __init__(self, document: Mapping[str, object], where: object) -> None:
        self._document, self._where = document, where

    def text(self, key: str) -> str:
        value = self._document.get(key)
        if not isinstance(value, str) or len(value) > 253:
            raise self._wrong(key)
        return value

    def flag(self, key: str) -> bool:
        value = self._document.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key)
        return value

    def addresses(self, key: str) -> tuple[Address, ...]:
        try:
            return tuple(ipaddress.ip_address(str(text)) for text in self._list(key))
        except ValueError as exc:
            raise self._wrong(key) from exc

    def networks(self, key: str) -> tuple[Network, ...]:
        try:
            return tuple(_read_network(value) for value in self._list(key))
        except (ValueError, KeyError, TypeError) as exc:
            raise self._wrong(key) from exc

    def _list(self, key: str) -> list[Any]:
        value = self._document.get(key)
        if not isinstance(value, list) or not 1 <= len(value) <= _MAX_LIST:
            raise self._wrong(key)
        return value

    def _wrong(self, key: str) -> FormatError:
        got = repr(self._document.get(key))[:80]
        hint = "is the server of another version?"
        return FormatError(
            f"{key} of the cluster's configuration cannot be used", where=self._where, got=got, hint=hint
        )


def _network(network: Network) -> dict[str, str]:
    return {"IP": str(network.network_address), "Mask": base64.b64encode(network.netmask.packed).decode()}


def _read_network(value: Any) -> Network:
    mask = base64.b64decode(value["Mask"], validate=True)
    if len(mask) not in (4, 16):
        raise ValueError("not a mask")
    bits = bin(int.from_bytes(mask, "big"))[2:].zfill(8 * len(mask))
    if "01" in bits:
        raise ValueError("a mask with holes")
    return ipaddress.ip_network(f"{value['IP']}/{bits.count('1')}")
