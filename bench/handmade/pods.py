"""The static pods of a server, by hand, with RKE2's arguments, probes and requests."""

import json
import os
from pathlib import Path
from typing import Any

from bench.handmade.settings import AGENT, CRED, ETCD, MANIFESTS, SERVER, TLS, Settings

KUBERNETES = "kubernetes"
LIVE, READY, STARTUP = (10, 8, 10), (0, 3, 1), (10, 24, 10)  # delay, failures, period
SSL = [folder for folder in ("/etc/ssl/certs", "/usr/share/ca-certificates") if os.path.isdir(folder)]
SIGNERS = {"kube-apiserver-client": "client", "kubelet-client": "client", "kubelet-serving": "server"}


def place(name: str, settings: Settings) -> None:
    """Writes the manifest of a pod beside the folder that the kubelet watches, and moves it there."""
    spec = SPECS[name](settings)
    image = settings.images[spec.pop("image", name)]
    aside = MANIFESTS.with_name(f"{name}.yaml")
    aside.write_text(json.dumps(_pod(name, image, **spec)))
    aside.rename(MANIFESTS / aside.name)


def _pod(
    name: str,
    image: str,
    *,
    args: dict[str, str],
    requests: tuple[str, str],
    probes: dict[str, dict[str, Any]] | None = None,
    folders: tuple[str, ...] = (),
    files: tuple[str, ...] = (),
    security: dict[str, Any] | None = None,
) -> dict[str, Any]:
    words = [f"--{key}={value}" for key, value in args.items()]
    named = {value for value in args.values() if value.startswith("/") and Path(value).is_file()}
    kubeconfigs = [json.loads(Path(value).read_text()) for value in named if value.endswith(".kubeconfig")]
    for document in kubeconfigs:
        named |= {document["clusters"][0]["cluster"]["certificate-authority"], *document["users"][0]["user"].values()}
    mounts = [(f"dir{i}", path, "DirectoryOrCreate") for i, path in enumerate(folders)]
    mounts += [(f"file{i}", path, "File") for i, path in enumerate(sorted(named | set(files)))]
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [name],
        "args": words,
        "resources": {"requests": {"cpu": requests[0], "memory": requests[1]}},
        "securityContext": security or {"privileged": False},
        "volumeMounts": [
            {"name": key, "mountPath": path, **({"readOnly": True} if kind == "File" else {})}
            for key, path, kind in mounts
        ],
        **(probes or {}),
    }
    volumes = [{"name": key, "hostPath": {"path": path, "type": kind}} for key, path, kind in mounts]
    spec = {"hostNetwork": True, "priorityClassName": "system-cluster-critical", "volumes": volumes}
    metadata = {"name": name, "namespace": "kube-system", "labels": {"component": name, "tier": "control-plane"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec | {"containers": [container]}}


def _probe(action: dict[str, Any], pace: tuple[int, int, int]) -> dict[str, Any]:
    delay, failures, period = pace
    period = max(period, 5) if "exec" in action else period
    times = {"initialDelaySeconds": delay, "timeoutSeconds": 15, "failureThreshold": failures, "periodSeconds": period}
    return action | times


def _http(port: int, path: str, scheme: str = "HTTPS") -> dict[str, Any]:
    return {"httpGet": {"host": "localhost", "port": port, "path": path, "scheme": scheme}}


def _probes(live: dict[str, Any], ready: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    found = {"livenessProbe": _probe(live, LIVE), "startupProbe": _probe(live, STARTUP)}
    return found | ({"readinessProbe": _probe(ready, READY)} if ready else {})


def _etcd(settings: Settings) -> dict[str, Any]:
    names = [f"{kind}-client.{end}" for kind in ("server", "peer-server") for end in ("crt", "key")]
    names += ["server-ca.crt", "peer-ca.crt"]
    return {
        "args": {"config-file": f"{ETCD}/config"},
        "requests": ("200m", "512Mi"),
        "probes": _probes(_http(2381, "/health?serializable=true", "HTTP")),
        "folders": (str(ETCD),),
        "files": tuple(f"{TLS}/etcd/{name}" for name in names),
    }


def _apiserver(settings: Settings) -> dict[str, Any]:
    issuer = "https://kubernetes.default.svc.cluster.local"
    asked = ["kubectl", "get", "--server=https://localhost:6443/", f"--certificate-authority={TLS}/server-ca.crt"]
    asked += [
        f"--client-{kind}={TLS}/client-kube-apiserver.{end}" for kind, end in (("certificate", "crt"), ("key", "key"))
    ]
    args = {
        "advertise-address": settings.address,
        "allow-privileged": "true",
        "anonymous-auth": "false",
        "api-audiences": f"{issuer},rke2",
        "authorization-mode": "Node,RBAC",
        "bind-address": "0.0.0.0",
        "cert-dir": f"{TLS}/temporary-certs",
        "client-ca-file": f"{TLS}/client-ca.crt",
        "egress-selector-config-file": f"{SERVER}/etc/egress-selector-config.yaml",
        "enable-admission-plugins": "NodeRestriction",
        "enable-aggregator-routing": "true",
        "enable-bootstrap-token-auth": "true",
        "encryption-provider-config": f"{CRED}/encryption-config.json",
        "encryption-provider-config-automatic-reload": "true",
        "etcd-cafile": f"{TLS}/etcd/server-ca.crt",
        "etcd-certfile": f"{TLS}/etcd/client.crt",
        "etcd-keyfile": f"{TLS}/etcd/client.key",
        "etcd-servers": "https://127.0.0.1:2379",
        "kubelet-certificate-authority": f"{TLS}/server-ca.crt",
        "kubelet-client-certificate": f"{TLS}/client-kube-apiserver.crt",
        "kubelet-client-key": f"{TLS}/client-kube-apiserver.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "profiling": "false",
        "proxy-client-cert-file": f"{TLS}/client-auth-proxy.crt",
        "proxy-client-key-file": f"{TLS}/client-auth-proxy.key",
        "requestheader-allowed-names": "system:auth-proxy",
        "requestheader-client-ca-file": f"{TLS}/request-header-ca.crt",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": "6443",
        "service-account-issuer": issuer,
        "service-account-key-file": f"{TLS}/service.key",
        "service-account-signing-key-file": f"{TLS}/service.current.key",
        "service-cluster-ip-range": "10.43.0.0/16",
        "service-node-port-range": "30000-32767",
        "storage-backend": "etcd3",
        "tls-cert-file": f"{TLS}/serving-kube-apiserver.crt",
        "tls-private-key-file": f"{TLS}/serving-kube-apiserver.key",
    }
    live, ready = ({"exec": {"command": [*asked, f"--raw=/{path}"]}} for path in ("livez", "readyz"))
    return {
        "image": KUBERNETES,
        "args": args,
        "requests": ("250m", "1Gi"),
        "probes": _probes(live, ready),
        "folders": (*SSL, str(SERVER)),
    }


def _controller_manager(settings: Settings) -> dict[str, Any]:
    kubeconfig, own = f"{CRED}/controller.kubeconfig", f"{TLS}/kube-controller-manager/kube-controller-manager"
    signing = {
        f"cluster-signing-{kind}-{what}-file": f"{TLS}/{authority}-ca.{'nochain.crt' if what == 'cert' else 'key'}"
        for kind, authority in (SIGNERS | {"legacy-unknown": "server"}).items()
        for what in ("cert", "key")
    }
    args = {
        "allocate-node-cidrs": "true",
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "cluster-cidr": "10.42.0.0/16",
        **signing,
        "configure-cloud-routes": "false",
        "controllers": "*,tokencleaner",
        "flex-volume-plugin-dir": "/var/lib/kubelet/volumeplugins",
        "kubeconfig": kubeconfig,
        "permit-port-sharing": "true",
        "profiling": "false",
        "root-ca-file": f"{TLS}/server-ca.crt",
        "secure-port": "10257",
        "service-account-private-key-file": f"{TLS}/service.current.key",
        "service-cluster-ip-range": "10.43.0.0/16",
        "terminated-pod-gc-threshold": "1000",
        "tls-cert-file": f"{own}.crt",
        "tls-private-key-file": f"{own}.key",
        "use-service-account-credentials": "true",
    }
    probes, folders = _probes(_http(10257, "/healthz")), tuple(SSL)
    return {"image": KUBERNETES, "args": args, "requests": ("200m", "256Mi"), "probes": probes, "folders": folders}


def _scheduler(settings: Settings) -> dict[str, Any]:
    kubeconfig, own = f"{CRED}/scheduler.kubeconfig", f"{TLS}/kube-scheduler/kube-scheduler"
    args = {
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "kubeconfig": kubeconfig,
        "permit-port-sharing": "true",
        "profiling": "false",
        "secure-port": "10259",
        "tls-cert-file": f"{own}.crt",
        "tls-private-key-file": f"{own}.key",
    }
    probes = _probes(_http(10259, "/livez"), _http(10259, "/readyz"))
    return {"image": KUBERNETES, "args": args, "requests": ("100m", "128Mi"), "probes": probes}


def _proxy(settings: Settings) -> dict[str, Any]:
    args = {
        "cluster-cidr": "10.42.0.0/16",
        "conntrack-max-per-core": "0",
        "conntrack-tcp-timeout-close-wait": "0s",
        "conntrack-tcp-timeout-established": "0s",
        "healthz-bind-address": "127.0.0.1",
        "hostname-override": settings.node,
        "kubeconfig": f"{AGENT}/kubeproxy.kubeconfig",
        "proxy-mode": "iptables",
    }
    probes = {"livenessProbe": _probe(_http(10256, "/livez", "HTTP"), LIVE)}
    security = {"privileged": True}
    return {"image": KUBERNETES, "args": args, "requests": ("250m", "128Mi"), "probes": probes, "security": security}


def _helm_controller(settings: Settings) -> dict[str, Any]:
    args = {
        "controller-name": "helm-controller",
        "default-job-image": settings.images["klipper-helm"],
        "kubeconfig": f"{CRED}/supervisor.kubeconfig",
    }
    return {"args": args, "requests": ("50m", "64Mi"), "security": {"privileged": False, "runAsUser": 0}}


SPECS = {
    "etcd": _etcd,
    "kube-apiserver": _apiserver,
    "kube-controller-manager": _controller_manager,
    "kube-scheduler": _scheduler,
    "kube-proxy": _proxy,
    "helm-controller": _helm_controller,
}
