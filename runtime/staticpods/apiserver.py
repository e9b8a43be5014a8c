"""The kube-apiserver pod. RKE2 v1.34, pkg/executor/staticpod/staticpod.go (APIServer) over k3s
pkg/daemons/control/server.go (apiServer).

What differs: no admission of a supervisor's tunnel (the egress selector says direct), no audit log unless an argument
asks for it. Pure.
"""

from pathlib import Path
from typing import Final

from bundles.reference import Reference
from runtime.arguments import command_line
from runtime.nodeconf.model import API_PORT, NodeConfig, bracketed, joined
from runtime.staticpods.model import ExecProbe, PodSpec, Port
from runtime.staticpods.resources import limits, requests

NAME: Final = "kube-apiserver"


def apiserver_pod(node: NodeConfig, image: Reference, ssl_folders: tuple[Path, ...]) -> PodSpec:
    """The apiserver; `ssl_folders`: those of SSL_FOLDERS that the machine has."""
    live, ready = _probe(node, "/livez"), _probe(node, "/readyz")
    return PodSpec(
        name=NAME,
        image=image,
        arguments=command_line(_arguments(node), node.extra(NAME)),
        requests=requests(node, NAME),
        limits=limits(node, NAME),
        ports=(Port(name="apiserver", number=API_PORT),),
        liveness=live,
        readiness=ready,
        startup=live,
        # The whole folder: a file that is replaced by rename would be the old one for ever under a mount of its own.
        folders=(*ssl_folders, node.paths.server),
        files=(node.paths.etcd_name,),
        unhashed=(node.paths.encryption_config,),
    )


def _probe(node: NodeConfig, path: str) -> ExecProbe:
    """The apiserver wants a certificate from everybody, so its image has kubectl."""
    tls = node.paths.tls
    return ExecProbe(
        command=(
            "kubectl",
            "get",
            f"--server=https://localhost:{API_PORT}/",
            f"--client-certificate={tls}/client-kube-apiserver.crt",
            f"--client-key={tls}/client-kube-apiserver.key",
            f"--certificate-authority={tls}/server-ca.crt",
            f"--raw={path}",
        )
    )


def _arguments(node: NodeConfig) -> dict[str, str]:
    return {
        "admission-control-config-file": str(node.paths.pod_security),
        "advertise-address": str(node.advertise_address),
        "allow-privileged": "true",
        "bind-address": str(node.bind_address),
        "cert-dir": f"{node.paths.tls}/temporary-certs",
        "egress-selector-config-file": str(node.paths.egress_selector),
        "enable-admission-plugins": "NodeRestriction",
        "profiling": "false",
        "secure-port": str(API_PORT),
        "service-cluster-ip-range": joined(node.service_cidrs),
        "service-node-port-range": node.node_ports,
        **_storage(node),
        **_authentication(node),
        **_aggregation(node),
        **_kubelets(node),
        **_tokens(node),
    }


def _storage(node: NodeConfig) -> dict[str, str]:
    etcd = node.paths.tls / "etcd"
    return {
        "encryption-provider-config": str(node.paths.encryption_config),
        "encryption-provider-config-automatic-reload": "true",
        "etcd-cafile": f"{etcd}/server-ca.crt",
        "etcd-certfile": f"{etcd}/client.crt",
        "etcd-keyfile": f"{etcd}/client.key",
        "etcd-servers": f"https://{bracketed(node.loopback)}:2379",
        "storage-backend": "etcd3",
    }


def _authentication(node: NodeConfig) -> dict[str, str]:
    tls = node.paths.tls
    return {
        "anonymous-auth": "false",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{tls}/client-ca.crt",
        "enable-bootstrap-token-auth": "true",
        "tls-cert-file": f"{tls}/serving-kube-apiserver.crt",
        "tls-private-key-file": f"{tls}/serving-kube-apiserver.key",
    }


def _aggregation(node: NodeConfig) -> dict[str, str]:
    tls = node.paths.tls
    return {
        "enable-aggregator-routing": "true",
        "proxy-client-cert-file": f"{tls}/client-auth-proxy.crt",
        "proxy-client-key-file": f"{tls}/client-auth-proxy.key",
        "requestheader-allowed-names": "system:auth-proxy",
        "requestheader-client-ca-file": f"{tls}/request-header-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
    }


def _kubelets(node: NodeConfig) -> dict[str, str]:
    tls = node.paths.tls
    return {
        "kubelet-certificate-authority": f"{tls}/server-ca.crt",
        "kubelet-client-certificate": f"{tls}/client-kube-apiserver.crt",
        "kubelet-client-key": f"{tls}/client-kube-apiserver.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
    }


def _tokens(node: NodeConfig) -> dict[str, str]:
    issuer = f"https://kubernetes.default.svc.{node.cluster_domain}"
    return {
        "api-audiences": f"{issuer},rke2",
        "service-account-issuer": issuer,
        "service-account-key-file": f"{node.paths.tls}/service.key",
        "service-account-signing-key-file": f"{node.paths.tls}/service.current.key",
    }
