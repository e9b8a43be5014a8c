"""The helm-controller pod, on servers. RKE2 has it inside its own process, with the supervisor's rights and over all
namespaces (k3s pkg/server/server.go, coreControllers); here it is a static pod of the same program. Pure.

It has no port, so no probe; it ends by itself when it loses the apiserver for long, and the kubelet starts it again.
"""

from typing import Final

from bundles.reference import Reference
from runtime.arguments import command_line
from runtime.nodeconf.model import NodeConfig
from runtime.staticpods.model import PodSpec
from runtime.staticpods.resources import limits, requests

NAME: Final = "helm-controller"


def helm_pod(node: NodeConfig, image: Reference, job_image: Reference) -> PodSpec:
    """helm-controller; `job_image` is what the jobs that install charts run."""
    arguments = {
        "controller-name": NAME,  # k3s' own name: charts it manages elsewhere are managed here
        "default-job-image": job_image.name,
        "kubeconfig": f"{node.paths.cred}/supervisor.kubeconfig",
    }
    return PodSpec(
        name=NAME,
        image=image,
        arguments=command_line(arguments, node.extra(NAME)),
        requests=requests(node, NAME),
        limits=limits(node, NAME),
        user=0,  # the kubeconfig and its key are root's alone, whatever user the image has
    )
