"""The kube-scheduler pod. RKE2 v1.34, pkg/executor/staticpod/staticpod.go (Scheduler) over k3s
pkg/daemons/control/server.go (scheduler). Pure.
"""

from typing import Final

from bundles.reference import Reference
from runtime.arguments import command_line
from runtime.nodeconf.model import NodeConfig
from runtime.staticpods.model import HttpProbe, PodSpec, Port
from runtime.staticpods.resources import limits, requests

NAME: Final = "kube-scheduler"
_PORT: Final = 10259
_HEALTH: Final = HttpProbe(port=_PORT)


def scheduler_pod(node: NodeConfig, image: Reference) -> PodSpec:
    """The scheduler."""
    kubeconfig = f"{node.paths.cred}/scheduler.kubeconfig"
    arguments = {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": node.loopback,
        "kubeconfig": kubeconfig,
        "permit-port-sharing": "true",
        "profiling": "false",
        "secure-port": str(_PORT),
        "tls-cert-file": f"{node.paths.tls}/{NAME}/{NAME}.crt",
        "tls-private-key-file": f"{node.paths.tls}/{NAME}/{NAME}.key",
    }
    return PodSpec(
        name=NAME,
        image=image,
        arguments=command_line(arguments, node.extra(NAME)),
        requests=requests(node, NAME),
        limits=limits(node, NAME),
        ports=(Port(name="metrics", number=_PORT),),
        liveness=_HEALTH,
        readiness=HttpProbe(port=_PORT, path="/readyz"),
        startup=_HEALTH,
        files=(node.paths.etcd_name,),
    )
