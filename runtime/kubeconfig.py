"""Kubeconfigs: who a program is to the apiserver. RKE2's files, names and form.

k3s pkg/daemons/control/deps/deps.go (server/cred, agent) and pkg/cli/server (rke2.yaml). Pure, but for what
`admin_kubeconfig` is given.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runtime.nodeconf.model import NodeConfig
from runtime.yamltext import yaml_text

# Kubeconfig below server/cred -> the certificate below server/tls.
_SERVER: Final = {
    "admin": "client-admin",
    "supervisor": "client-supervisor",
    "controller": "client-controller",
    "scheduler": "client-scheduler",
    "api-server": "client-kube-apiserver",
}


def server_kubeconfigs(node: NodeConfig) -> Mapping[Path, str]:
    """The kubeconfigs below server/cred: path -> text."""
    tls, cred = node.paths.tls, node.paths.cred
    authority = tls / "server-ca.crt"
    return {
        cred / f"{name}.kubeconfig": _linked(node.api_url, authority, tls / certificate)
        for name, certificate in _SERVER.items()
    }


def agent_kubeconfigs(node: NodeConfig, api_url: str | None = None) -> Mapping[Path, str]:
    """The kubelet's and kube-proxy's: path -> text; `api_url` on agents, else the server's own apiserver."""
    agent, url = node.paths.agent, api_url or node.api_url
    authority = agent / "server-ca.crt"
    return {
        node.paths.kubelet_kubeconfig: _linked(url, authority, agent / "client-kubelet"),
        node.paths.kubeproxy_kubeconfig: _linked(url, authority, agent / "client-kube-proxy"),
    }


def admin_kubeconfig(api_url: str, authority: bytes, certificate: bytes, key: bytes) -> str:
    """The administrator's kubeconfig, complete in itself, so that it can be carried away. Arguments in PEM."""
    return _document(
        "default",
        "default",
        "default",
        {"certificate-authority-data": _base64(authority), "server": api_url},
        {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)},
    )


def _linked(api_url: str, authority: Path, stem: Path) -> str:
    cluster = {"certificate-authority": str(authority), "server": api_url}
    user = {"client-certificate": f"{stem}.crt", "client-key": f"{stem}.key"}
    return _document("local", "Default", "user", cluster, user, namespace="default")


def _document(
    cluster_name: str, context: str, user_name: str, cluster: object, user: object, namespace: str = ""
) -> str:
    chosen = {"cluster": cluster_name, "user": user_name}
    if namespace:
        chosen["namespace"] = namespace
    return yaml_text(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster_name, "cluster": cluster}],
            "contexts": [{"name": context, "context": chosen}],
            "current-context": context,
            "users": [{"name": user_name, "user": user}],
        }
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
