"""The kubelet: its command line and our part of its configuration.

k3s pkg/daemons/agent/agent.go and agent_linux.go; RKE2 v1.34, pkg/executor/staticpod/staticpod.go (Kubelet). No cloud
provider: without RKE2's own, the taint of an uninitialised node would stay for ever. Pure.
"""

from typing import Any, Final

from runtime.arguments import command_line
from runtime.nodeconf.model import NodeConfig, joined
from runtime.yamltext import yaml_text

# `kubelet-arg` settings that name the administrator's own files: copies of them stand in the `--config-dir` folder.
CONFIG_FILE: Final = "config"
CONFIG_FOLDER: Final = "config-dir"


def kubelet_arguments(node: NodeConfig) -> tuple[str, ...]:
    """The kubelet's command line without its name."""
    paths = node.paths
    ours = {
        "config-dir": str(paths.kubelet_folder),
        "containerd": str(paths.socket),
        "file-check-frequency": "5s",
        "hostname-override": node.node_name,
        "kubeconfig": str(paths.kubelet_kubeconfig),
        "node-ip": joined(node.node_ips),
        "read-only-port": "0",
        "sync-frequency": "30s",
        "volume-plugin-dir": str(paths.volume_plugins),
    }
    if node.labels:
        ours["node-labels"] = ",".join(node.labels)
    if str(paths.kubelet_root) != "/var/lib/kubelet":
        ours |= {"root-dir": str(paths.kubelet_root), "cert-dir": f"{paths.kubelet_root}/pki"}
    extra = [text for text in node.extra("kubelet") if text.partition("=")[0] not in (CONFIG_FILE, CONFIG_FOLDER)]
    return command_line(ours, extra)


def kubelet_config(node: NodeConfig, *, systemd: bool) -> str:
    """KubeletConfiguration as YAML; `systemd`: cgroups are systemd's, so containerd must be told the same."""
    agent = node.paths.agent
    document: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0" if node.node_ip.version == 4 else "::",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"cacheTTL": "2m0s", "enabled": True},
            "x509": {"clientCAFile": f"{agent}/client-ca.crt"},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"},
        },
        "cgroupDriver": "systemd" if systemd else "cgroupfs",
        "clusterDNS": [str(address) for address in node.cluster_dns],
        "clusterDomain": node.cluster_domain,
        "containerRuntimeEndpoint": node.paths.endpoint,
        "evictionHard": {"imagefs.available": "5%", "nodefs.available": "5%"},
        "evictionMinimumReclaim": {"imagefs.available": "10%", "nodefs.available": "10%"},
        "failSwapOn": False,
        "healthzBindAddress": node.loopback,
        "logging": {"format": "text", "flushFrequency": "5s"},
        "protectKernelDefaults": node.protect_kernel_defaults,
        "resolvConf": str(node.resolv_conf),
        "serializeImagePulls": False,
        "staticPodPath": str(node.paths.pod_manifests),
        "tlsCertFile": f"{agent}/serving-kubelet.crt",
        "tlsPrivateKeyFile": f"{agent}/serving-kubelet.key",
        **_TIMES,
    }
    if node.taints:
        document["registerWithTaints"] = [
            {"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in node.taints
        ]
    return yaml_text(document, sort_keys=True)


_TIMES: Final = {
    "cpuManagerReconcilePeriod": "10s",
    "evictionPressureTransitionPeriod": "5m0s",
    "fileCheckFrequency": "20s",
    "httpCheckFrequency": "20s",
    "imageMinimumGCAge": "2m0s",
    "nodeStatusReportFrequency": "5m0s",
    "nodeStatusUpdateFrequency": "10s",
    "runtimeRequestTimeout": "2m0s",
    "streamingConnectionIdleTimeout": "4h0m0s",
    "syncFrequency": "1m0s",
    "volumeStatsAggPeriod": "1m0s",
}
