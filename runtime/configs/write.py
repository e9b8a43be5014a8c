"""The configuration files of a node, written: what differs is replaced whole, secrets are made once and kept.

Certificates come first (`runtime.pki.ensure`): the administrator's kubeconfig carries copies of them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bundles.errors import MissingError
from bundles.files import remove_abandoned
from bundles.reference import Reference
from runtime.configs.apiserver import ENCRYPTION_KEY, egress_selector, encryption_config, encryption_state, pod_security
from runtime.configs.containerd import Host, config_version, containerd_config, crictl_config
from runtime.configs.etcd import Membership, etcd_config
from runtime.configs.hosts import credentials, hosts_files, warnings_of
from runtime.configs.hostswrite import write_hosts
from runtime.configs.kubelet import CONFIG_FILE, CONFIG_FOLDER, kubelet_config
from runtime.entropy import Entropy
from runtime.etcd.membership import ensure_member_name, known_membership
from runtime.folders import SECRET_MODE, ensure_folder
from runtime.kubeconfig import admin_kubeconfig, agent_kubeconfigs, server_kubeconfigs
from runtime.nodeconf.model import NodeConfig
from runtime.nodefiles import SECRET_FILE, read_file, settle, tighten
from runtime.pki.ensure import secret_folder
from runtime.registries import read_private_registry

_USER_FILE: Final = "10-cli-config.conf"
_USER_FOLDER: Final = "20-cli-config-dir"


def write_agent_files(node: NodeConfig, *, host: Host, api_url: str | None = None) -> list[str]:
    """Kubeconfigs, the kubelet's and crictl's configuration, what containerd is told of registries, and the folders
    they name.

    Args:
        node: the configuration.
        host: what the machine decides.
        api_url: the apiserver, on agents; None: this server's own.

    Returns what to warn of in registries.yaml.
    """
    paths = node.paths
    secret_folder(paths.agent)
    for folder in (paths.pod_manifests, paths.kubelet_folder, paths.registry_hosts, paths.logs, paths.containerd_root):
        ensure_folder(folder, SECRET_MODE)
    for file in (paths.kubelet_config, paths.containerd_config, paths.crictl_config):
        remove_abandoned(file.parent)
    ensure_folder(paths.volume_plugins)
    _settle_all(agent_kubeconfigs(node, api_url))
    settle(paths.kubelet_config, kubelet_config(node, systemd=host.systemd).encode())
    _copy_kubelet_files(node)
    registries = read_private_registry(node.private_registry)
    write_hosts(paths.registry_hosts, hosts_files(registries, default_endpoints=node.default_endpoints))
    settle(paths.crictl_config, crictl_config(paths).encode())
    return warnings_of(registries)


def write_containerd_config(node: NodeConfig, *, pause: Reference, host: Host, said: str) -> None:
    """containerd's config.toml; `pause` is the image of sandboxes, `said` what the containerd says its version is."""
    keys = credentials(read_private_registry(node.private_registry))
    text = containerd_config(node, pause, host, keys, version=config_version(said))
    settle(node.paths.containerd_config, text.encode())


def write_server_files(node: NodeConfig, *, entropy: Entropy) -> Membership | None:
    """Kubeconfigs, the apiserver's and etcd's configuration; returns etcd's membership, None when it has yet to join.

    `entropy` gives the key that encrypts secrets and the member's name, once.
    """
    paths = node.paths
    for folder in (paths.server, paths.cred, paths.server_etc, paths.server / "logs", paths.etcd):
        secret_folder(folder)
    ensure_folder(paths.pod_security.parent)
    remove_abandoned(paths.pod_security.parent)
    _settle_all(server_kubeconfigs(node))
    settle(paths.egress_selector, egress_selector())
    settle(paths.pod_security, pod_security().encode())
    _ensure_encryption(node, entropy)
    membership = known_membership(node, ensure_member_name(node, entropy))
    if membership is not None:
        settle(paths.etcd_config, etcd_config(node, membership).encode())
    settle(paths.admin_kubeconfig, _admin(node).encode())
    return membership


def _ensure_encryption(node: NodeConfig, entropy: Entropy) -> None:
    """The configuration is never replaced: without its key the secrets in etcd are lost. The state comes second."""
    config = read_file(node.paths.encryption_config)
    if not config:
        config = encryption_config(entropy.octets(ENCRYPTION_KEY))
        settle(node.paths.encryption_config, config)
    tighten(node.paths.encryption_config, SECRET_FILE)
    if not read_file(node.paths.encryption_state):
        settle(node.paths.encryption_state, encryption_state(config))


def _admin(node: NodeConfig) -> str:
    names = ("server-ca.crt", "client-admin.crt", "client-admin.key")
    authority, certificate, key = (_content(node.paths.tls / name) for name in names)
    return admin_kubeconfig(node.api_url, authority, certificate, key)


def _copy_kubelet_files(node: NodeConfig) -> None:
    """`kubelet-arg: config=FILE` and `config-dir=DIR`: copies after ours, so that they win."""
    for text in node.extra("kubelet"):
        name, _, value = text.partition("=")
        if name == CONFIG_FILE:
            settle(node.paths.kubelet_folder / _USER_FILE, _content(Path(value)))
        elif name == CONFIG_FOLDER:
            ensure_folder(node.paths.kubelet_folder / _USER_FOLDER, SECRET_MODE)
            for path in sorted(Path(value).glob("*.conf")):
                settle(node.paths.kubelet_folder / _USER_FOLDER / path.name, _content(path))


def _settle_all(texts: Mapping[Path, str]) -> None:
    for folder in sorted({path.parent for path in texts}):
        ensure_folder(folder, SECRET_MODE)
        remove_abandoned(folder)
    for path, text in texts.items():
        settle(path, text.encode())


def _content(path: Path) -> bytes:
    if (data := read_file(path)) is None:
        raise MissingError("a file that the configuration needs", where=path)
    return data
