"""The configuration files of containerd, crictl, the kubelet and etcd, by hand, with RKE2's settings."""

import json
from typing import Any

from bench.handmade.settings import AGENT, ETCD, MANIFESTS, SERVER, SOCKET, TLS, Settings, write


def make(settings: Settings) -> None:
    """Writes them all."""
    for folder in (MANIFESTS, AGENT / "logs", AGENT / "containerd", AGENT / "etc/containerd/certs.d"):
        folder.mkdir(parents=True, exist_ok=True)
    write(AGENT / "etc/containerd/config.toml", _containerd(settings.images["pause"]))
    write(AGENT / "etc/crictl.yaml", f"runtime-endpoint: unix://{SOCKET}\n")
    write(AGENT / "etc/kubelet.conf.d/00-defaults.conf", json.dumps(_kubelet()))
    write(SERVER / "etc/egress-selector-config.yaml", json.dumps(_EGRESS))
    member = f"{settings.node}-0a1b2c3d"
    write(ETCD / "name", member)
    write(ETCD / "config", json.dumps(_etcd(member, settings.address)))


_EGRESS = {"apiVersion": "apiserver.k8s.io/v1beta1", "kind": "EgressSelectorConfiguration", "egressSelections": []}


def _containerd(pause: str) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{AGENT}/containerd"
state = "{SOCKET.parent}"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{AGENT}/containerd"
[{cri}]
  stream_server_address = "127.0.0.1"
  stream_server_port = "10010"
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
[{cri}.containerd]
  snapshotter = "overlayfs"
  disable_snapshot_annotations = true
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
[{cri}.registry]
  config_path = "{AGENT}/etc/containerd/certs.d"
"""


def _kubelet() -> dict[str, Any]:
    webhook = {"cacheTTL": "2m0s", "enabled": True}
    authority = {"clientCAFile": f"{AGENT}/client-ca.crt"}
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {"anonymous": {"enabled": False}, "webhook": webhook, "x509": authority},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "clusterDNS": ["10.43.0.10"],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "evictionHard": {"imagefs.available": "5%", "nodefs.available": "5%"},
        "evictionMinimumReclaim": {"imagefs.available": "10%", "nodefs.available": "10%"},
        "failSwapOn": False,
        "healthzBindAddress": "127.0.0.1",
        "resolvConf": "/etc/resolv.conf",
        "serializeImagePulls": False,
        "staticPodPath": str(MANIFESTS),
        "tlsCertFile": f"{AGENT}/serving-kubelet.crt",
        "tlsPrivateKeyFile": f"{AGENT}/serving-kubelet.key",
    }


def _etcd(member: str, address: str) -> dict[str, Any]:
    def both(port: int) -> str:
        return f"https://127.0.0.1:{port},https://{address}:{port}"

    def trust(stem: str, authority: str) -> dict[str, Any]:
        files = {"cert-file": f"{stem}.crt", "key-file": f"{stem}.key", "trusted-ca-file": f"{authority}.crt"}
        return {name: f"{TLS}/etcd/{file}" for name, file in files.items()} | {"client-cert-auth": True}

    return {
        "name": member,
        "data-dir": str(ETCD),
        "listen-client-urls": both(2379),
        "listen-client-http-urls": "https://127.0.0.1:2382",
        "listen-metrics-urls": "http://127.0.0.1:2381",
        "listen-peer-urls": both(2380),
        "advertise-client-urls": f"https://{address}:2379",
        "initial-advertise-peer-urls": f"https://{address}:2380",
        "initial-cluster": f"{member}=https://{address}:2380",
        "initial-cluster-state": "new",
        "election-timeout": 5000,
        "heartbeat-interval": 500,
        "snapshot-count": 10000,
        "logger": "zap",
        "log-outputs": ["stderr"],
        "client-transport-security": trust("server-client", "server-ca"),
        "peer-transport-security": trust("peer-server-client", "peer-ca"),
    }
