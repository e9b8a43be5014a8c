"""The kube-controller-manager pod. RKE2 v1.34, pkg/executor/staticpod/staticpod.go (ControllerManager) over k3s
pkg/daemons/control/server.go (controllerManager). Pure.
"""

from pathlib import Path
from typing import Final

from bundles.reference import Reference
from runtime.arguments import command_line
from runtime.nodeconf.model import NodeConfig, joined
from runtime.staticpods.model import HttpProbe, PodSpec, Port
from runtime.staticpods.resources import limits, requests

NAME: Final = "kube-controller-manager"
_PORT: Final = 10257
_HEALTH: Final = HttpProbe(port=_PORT, path="/healthz")


def controller_manager_pod(node: NodeConfig, image: Reference, ssl_folders: tuple[Path, ...]) -> PodSpec:
    """The controller manager; `ssl_folders`: those of SSL_FOLDERS that the machine has."""
    return PodSpec(
        name=NAME,
        image=image,
        arguments=command_line(_arguments(node), node.extra(NAME)),
        requests=requests(node, NAME),
        limits=limits(node, NAME),
        ports=(Port(name="metrics", number=_PORT),),
        liveness=_HEALTH,
        startup=_HEALTH,
        folders=ssl_folders,
        files=(node.paths.etcd_name,),
    )


def _arguments(node: NodeConfig) -> dict[str, str]:
    tls, kubeconfig = node.paths.tls, f"{node.paths.cred}/controller.kubeconfig"
    return {
        "allocate-node-cidrs": "true",
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": node.loopback,
        "cluster-cidr": joined(node.cluster_cidrs),
        **_signers(tls),
        "configure-cloud-routes": "false",
        "controllers": "*,tokencleaner",
        "flex-volume-plugin-dir": str(node.paths.volume_plugins),
        "kubeconfig": kubeconfig,
        "permit-port-sharing": "true",
        "profiling": "false",
        "root-ca-file": f"{tls}/server-ca.crt",
        "secure-port": str(_PORT),
        "service-account-private-key-file": f"{tls}/service.current.key",
        "service-cluster-ip-range": joined(node.service_cidrs),
        "terminated-pod-gc-threshold": "1000",
        "tls-cert-file": f"{tls}/{NAME}/{NAME}.crt",
        "tls-private-key-file": f"{tls}/{NAME}/{NAME}.key",
        "use-service-account-credentials": "true",
    }


def _signers(tls: Path) -> dict[str, str]:
    """Who signs which kind of request; the signer reads one certificate, not a chain."""
    kinds = {
        "kube-apiserver-client": "client-ca",
        "kubelet-client": "client-ca",
        "kubelet-serving": "server-ca",
        "legacy-unknown": "server-ca",
    }
    certificates = {f"cluster-signing-{kind}-cert-file": f"{tls}/{ca}.nochain.crt" for kind, ca in kinds.items()}
    return certificates | {f"cluster-signing-{kind}-key-file": f"{tls}/{ca}.key" for kind, ca in kinds.items()}
