"""Where the daemon's files lie: RKE2's own names below the data directory and the few places outside it.

RKE2 v1.34 with k3s: pkg/daemons/control/deps (server/tls, server/cred, server/etc), pkg/agent/config (agent),
pkg/podtemplate (agent/pod-manifests). `runtime.layout` has the names that `stage` and `extract` use. Pure: nothing is
read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONFIG_FOLDER: Final = Path("/etc/rancher")
CONTAINERD_STATE: Final = Path("/run/k3s/containerd")
KUBELET_ROOT: Final = Path("/var/lib/kubelet")
KUBELET_DROPIN: Final = "00-rke2-defaults.conf"


@dataclass(frozen=True, slots=True)
class NodePaths:
    """Paths of one node; `data` is absolute, because manifests and configuration files name it.

    Args:
        data: the data directory, /var/lib/rancher/rke2 by default of RKE2.
        etc: the folder of configuration that administrators see.
        state: containerd's state folder, with its socket.
        kubelet_root: the kubelet's own folder.
    """

    data: Path
    etc: Path = CONFIG_FOLDER
    state: Path = CONTAINERD_STATE
    kubelet_root: Path = KUBELET_ROOT

    @property
    def server(self) -> Path:
        """`server`, mode 0700."""
        return self.data / "server"

    @property
    def tls(self) -> Path:
        """`server/tls`: authorities, keys and certificates of a server; 0700."""
        return self.server / "tls"

    @property
    def cred(self) -> Path:
        """`server/cred`: kubeconfigs and the encryption configuration; 0700."""
        return self.server / "cred"

    @property
    def server_etc(self) -> Path:
        """`server/etc`: small configuration files of the control plane; 0700."""
        return self.server / "etc"

    @property
    def encryption_config(self) -> Path:
        """How the apiserver encrypts secrets in etcd."""
        return self.cred / "encryption-config.json"

    @property
    def encryption_state(self) -> Path:
        """The stage of the last key rotation and the configuration's hash."""
        return self.cred / "encryption-state.json"

    @property
    def egress_selector(self) -> Path:
        """How the apiserver reaches kubelets and pods."""
        return self.server_etc / "egress-selector-config.yaml"

    @property
    def pod_security(self) -> Path:
        """The apiserver's pod security defaults."""
        return self.etc / "rke2" / "rke2-pss.yaml"

    @property
    def admin_kubeconfig(self) -> Path:
        """The administrator's kubeconfig, complete in itself: rke2.yaml, 0600."""
        return self.etc / "rke2" / "rke2.yaml"

    @property
    def server_token(self) -> Path:
        """`server/token`, 0600: what other servers join with."""
        return self.server / "token"

    @property
    def node_token(self) -> Path:
        """`server/node-token`: a link to `token`."""
        return self.server / "node-token"

    @property
    def agent_token(self) -> Path:
        """`server/agent-token`: what agents join with."""
        return self.server / "agent-token"

    @property
    def node_password(self) -> Path:
        """`node/password`, 0600: proves to the servers that a node of this name is the same machine."""
        return self.etc / "node" / "password"

    @property
    def etcd(self) -> Path:
        """`server/db/etcd`, 0700: etcd's data, its configuration and its name."""
        return self.server / "db" / "etcd"

    @property
    def etcd_config(self) -> Path:
        """etcd's configuration file."""
        return self.etcd / "config"

    @property
    def etcd_name(self) -> Path:
        """This member's name."""
        return self.etcd / "name"

    @property
    def etcd_membership(self) -> Path:
        """How this member came into its cluster: written once, so that no start joins again."""
        return self.etcd / "membership.json"

    @property
    def etcd_log(self) -> Path:
        """etcd's write-ahead log: a server that has one is a member already."""
        return self.etcd / "member" / "wal"

    @property
    def etcd_snapshots(self) -> Path:
        """`server/db/snapshots`, 0700: snapshots of etcd, unless the configuration says another folder."""
        return self.server / "db" / "snapshots"

    @property
    def agent(self) -> Path:
        """`agent`, 0700."""
        return self.data / "agent"

    @property
    def pod_manifests(self) -> Path:
        """`agent/pod-manifests`: the kubelet runs whatever stands here."""
        return self.agent / "pod-manifests"

    @property
    def agent_etc(self) -> Path:
        """`agent/etc`: configuration of containerd, crictl and the kubelet."""
        return self.agent / "etc"

    @property
    def kubelet_folder(self) -> Path:
        """The kubelet's `--config-dir`."""
        return self.agent_etc / "kubelet.conf.d"

    @property
    def kubelet_config(self) -> Path:
        """Our part of the kubelet's configuration; later files of the folder win."""
        return self.kubelet_folder / KUBELET_DROPIN

    @property
    def containerd_root(self) -> Path:
        """containerd's store and its log."""
        return self.agent / "containerd"

    @property
    def containerd_config(self) -> Path:
        """containerd's configuration file."""
        return self.agent_etc / "containerd" / "config.toml"

    @property
    def registry_hosts(self) -> Path:
        """One folder per registry with its hosts.toml."""
        return self.agent_etc / "containerd" / "certs.d"

    @property
    def crictl_config(self) -> Path:
        """crictl's configuration file."""
        return self.agent_etc / "crictl.yaml"

    @property
    def logs(self) -> Path:
        """`agent/logs`: the kubelet's log."""
        return self.agent / "logs"

    @property
    def kubelet_kubeconfig(self) -> Path:
        """Who the kubelet is to the apiserver."""
        return self.agent / "kubelet.kubeconfig"

    @property
    def kubeproxy_kubeconfig(self) -> Path:
        """Who kube-proxy is to the apiserver."""
        return self.agent / "kubeproxy.kubeconfig"

    @property
    def socket(self) -> Path:
        """containerd's socket."""
        return self.state / "containerd.sock"

    @property
    def endpoint(self) -> str:
        """containerd's socket as the kubelet and crictl want it."""
        return f"unix://{self.socket}"

    @property
    def volume_plugins(self) -> Path:
        """Where the kubelet and the controller manager look for volume plugins."""
        return self.kubelet_root / "volumeplugins"

    def manifest(self, name: str) -> Path:
        """The manifest of one static pod."""
        return self.pod_manifests / f"{name}.yaml"
