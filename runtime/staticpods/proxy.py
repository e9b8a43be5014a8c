"""The kube-proxy pod, on every node. RKE2 v1.34, pkg/executor/staticpod/staticpod.go (KubeProxy) over k3s
pkg/daemons/agent/agent_linux.go (kubeProxyArgs). Pure.

The conntrack settings are left as the machine has them: inside a network namespace they cannot be written, and
kube-proxy would end over it.
"""

from typing import Final

from bundles.reference import Reference
from runtime.arguments import command_line
from runtime.nodeconf.model import NodeConfig, joined
from runtime.staticpods.model import HttpProbe, PodSpec, Port
from runtime.staticpods.resources import limits, requests

NAME: Final = "kube-proxy"
_PORT: Final = 10256


def proxy_pod(node: NodeConfig, image: Reference) -> PodSpec:
    """kube-proxy, privileged: it writes the host's packet filter."""
    arguments = {
        "cluster-cidr": joined(node.cluster_cidrs),
        "conntrack-max-per-core": "0",
        "conntrack-tcp-timeout-close-wait": "0s",
        "conntrack-tcp-timeout-established": "0s",
        "healthz-bind-address": node.loopback,
        "hostname-override": node.node_name,
        "kubeconfig": str(node.paths.kubeproxy_kubeconfig),
        "proxy-mode": "iptables",
    }
    return PodSpec(
        name=NAME,
        image=image,
        arguments=command_line(arguments, node.extra(NAME)),
        requests=requests(node, NAME),
        limits=limits(node, NAME),
        ports=(Port(name="metrics", number=_PORT),),
        liveness=HttpProbe(port=_PORT, scheme="HTTP"),
        privileged=True,
    )
