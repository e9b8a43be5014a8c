"""RKE2's configuration keys, split by what this runtime does with them.

RKE2 v1.34, pkg/cli/cmds/{root,server,agent}.go, over k3s pkg/cli/cmds. RKE2 skips keys it does not know with a
warning, so a misspelled key never fails; here it is an error that names the nearest key.
"""

from typing import Final

from runtime.nodeconf.model import COMPONENTS

IMAGE_KEYS: Final = (
    "kube-apiserver-image",
    "kube-controller-manager-image",
    "kube-scheduler-image",
    "kube-proxy-image",
    "etcd-image",
    "pause-image",
    "runtime-image",
    "helm-controller-image",
    "helm-job-image",
)

USED: Final = frozenset(
    {
        "node-name",
        "node-ip",
        "node-label",
        "node-taint",
        "bind-address",
        "advertise-address",
        "tls-san",
        "cluster-cidr",
        "service-cidr",
        "service-node-port-range",
        "cluster-dns",
        "cluster-domain",
        "server",
        "token",
        "token-file",
        "agent-token",
        "agent-token-file",
        "disable",
        "cni",
        "ingress-controller",
        "disable-kube-proxy",
        "control-plane-resource-requests",
        "control-plane-resource-limits",
        "snapshotter",
        "resolv-conf",
        "protect-kernel-defaults",
        "etcd-disable-snapshots",
        "etcd-snapshot-dir",
        "etcd-snapshot-name",
        "etcd-snapshot-retention",
        "etcd-snapshot-schedule-cron",
        "system-default-registry",
        "private-registry",
        "disable-default-registry-endpoint",
        "debug",
        "data-dir",
        *IMAGE_KEYS,
        *(f"{name}-arg" for name in COMPONENTS),
    }
)

# A node that silently ran without these would be less than its owner believes: refused unless empty or false.
REFUSED: Final = frozenset(
    {
        "profile",
        "selinux",
        "cluster-reset",
        "cluster-reset-restore-path",
        "datastore-endpoint",
        "datastore-cafile",
        "datastore-certfile",
        "datastore-keyfile",
        "audit-policy-file",
        "pod-security-admission-config-file",
        "secrets-encryption-provider",
        "cloud-provider-name",
        "cloud-provider-config",
        "container-runtime-endpoint",
        "default-runtime",
        "embedded-registry",
        "image-credential-provider-bin-dir",
        "image-credential-provider-config",
        "enable-servicelb",
        "disable-apiserver",
        "disable-controller-manager",
        "disable-etcd",
        "disable-scheduler",
        "node-name-from-cloud-provider-metadata",
        "with-node-id",
        "nonroot-devices",
        "node-external-ip",
        "node-internal-dns",
        "node-external-dns",
        *(f"{name}-extra-mount" for name in COMPONENTS),
        *(f"{name}-extra-env" for name in COMPONENTS),
    }
)

# Known and without effect here: the bundle decides, or nothing of the kind runs. Told, not refused.
WITHOUT_EFFECT: Final = frozenset(
    {
        "airgap-extra-registry",
        "cloud-controller-manager-image",
        "control-plane-probe-configuration",
        "disable-cloud-controller",
        "egress-selector-mode",
        "enable-pprof",
        "etcd-expose-metrics",
        "etcd-snapshot-compress",
        "kube-cloud-controller-manager-arg",
        "kubelet-path",
        "lb-server-port",
        "prime",
        "servicelb-namespace",
        "supervisor-metrics",
        "tls-san-security",
        "write-kubeconfig",
        "write-kubeconfig-group",
        "write-kubeconfig-mode",
        "write-kubeconfig-name",
    }
)
