"""What each static pod asks for, and how the configuration changes it.

RKE2 v1.34, pkg/podtemplate/config.go: defaults, no limits; `control-plane-resource-requests` and `-limits` with
`COMPONENT-cpu` and `COMPONENT-memory`. helm-controller is no pod in RKE2. Pure.
"""

from collections.abc import Mapping
from typing import Final

from runtime.nodeconf.model import NodeConfig

Quantities = tuple[tuple[str, str], ...]
_DEFAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "etcd": ("200m", "512Mi"),
    "kube-apiserver": ("250m", "1Gi"),
    "kube-controller-manager": ("200m", "256Mi"),
    "kube-scheduler": ("100m", "128Mi"),
    "kube-proxy": ("250m", "128Mi"),
    "helm-controller": ("50m", "64Mi"),
}


def requests(node: NodeConfig, name: str) -> Quantities:
    """cpu and memory that the pod `name` asks for."""
    cpu, memory = _DEFAULTS[name]
    return (
        ("cpu", node.requests.get(f"{name}-cpu", cpu)),
        ("memory", node.requests.get(f"{name}-memory", memory)),
    )


def limits(node: NodeConfig, name: str) -> Quantities:
    """cpu and memory that the pod `name` may have; none unless configured."""
    return tuple((kind, node.limits[f"{name}-{kind}"]) for kind in ("cpu", "memory") if f"{name}-{kind}" in node.limits)
