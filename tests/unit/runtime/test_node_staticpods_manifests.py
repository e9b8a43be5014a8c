import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundles.errors import MissingError
from runtime.nodeconf.model import NodeConfig
from runtime.staticpods.model import PodSpec
from runtime.staticpods.place import compose, mounted_files, place, placed_uid, withdraw
from runtime.staticpods.proxy import proxy_pod
from runtime.staticpods.render import proxy_variables
from runtime.staticpods.scheduler import scheduler_pod
from tests.support.nodes import IMAGE, node_config, start
from tests.support.nodes import static_pods as pods

NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "helm-controller")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> NodeConfig:
    node = node_config(tmp_path_factory.mktemp("node"))
    start(node)
    return node


def document(node: NodeConfig, name: str, spec: PodSpec | None = None) -> dict[str, Any]:
    manifest = compose(spec or pods(node)[name], path=node.paths.manifest(name), environment={})
    found: dict[str, Any] = yaml.safe_load(manifest.text)
    assert found["metadata"]["uid"] == manifest.uid
    return found


def argument(pod: dict[str, Any], name: str) -> str:
    found = [text for text in pod["spec"]["containers"][0]["args"] if text.startswith(f"--{name}=")]
    assert len(found) == 1, f"{name}: {found}"
    return str(found[0].partition("=")[2])


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_has_the_shape_of_rke2s(node: NodeConfig, name: str) -> None:
    pod = document(node, name)
    container = pod["spec"]["containers"][0]
    assert pod["metadata"]["name"] == container["name"] == name
    assert pod["metadata"]["namespace"] == "kube-system"
    assert pod["metadata"]["labels"] == {"component": name, "tier": "control-plane"}
    assert pod["spec"]["hostNetwork"] is True
    assert pod["spec"]["priorityClassName"] == "system-cluster-critical"
    assert container["image"] == "index.docker.io/rancher/hardened-kubernetes:v1.34.4-rke2r1-build20260211"
    assert (container["command"], container["imagePullPolicy"]) == ([name], "IfNotPresent")
    names = [text.partition("=")[0] for text in container["args"]]
    assert names == sorted(names) and len(names) == len(set(names))
    assert container["securityContext"]["privileged"] is (name == "kube-proxy")
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert len(pod["metadata"]["uid"]) == 32


def test_probes_are_rke2s(node: NodeConfig) -> None:
    paces = {"livenessProbe": (10, 15, 8, 10), "readinessProbe": (0, 15, 3, 1), "startupProbe": (10, 15, 24, 10)}
    seen = {}
    for name in NAMES:
        container = document(node, name)["spec"]["containers"][0]
        for kind, pace in paces.items():
            if (probe := container.get(kind)) is None:
                continue
            keys = ("initialDelaySeconds", "timeoutSeconds", "failureThreshold", "periodSeconds")
            got = tuple(probe.get(key, 0) for key in keys)
            assert got == ((0, 15, 3, 5) if "exec" in probe and kind == "readinessProbe" else pace)
            http = probe.get("httpGet")
            text = probe["exec"]["command"][-1] if http is None else "{scheme} {port} {path}".format(**http)
            seen[f"{name} {kind.removesuffix('Probe')}"] = text
            assert http is None or http["host"] == "localhost"
    assert seen == {
        "etcd liveness": "HTTP 2381 /health?serializable=true",
        "etcd startup": "HTTP 2381 /health?serializable=true",
        "kube-apiserver liveness": "--raw=/livez",
        "kube-apiserver readiness": "--raw=/readyz",
        "kube-apiserver startup": "--raw=/livez",
        "kube-controller-manager liveness": "HTTPS 10257 /healthz",
        "kube-controller-manager startup": "HTTPS 10257 /healthz",
        "kube-scheduler liveness": "HTTPS 10259 /livez",
        "kube-scheduler readiness": "HTTPS 10259 /readyz",
        "kube-scheduler startup": "HTTPS 10259 /livez",
        "kube-proxy liveness": "HTTP 10256 /livez",
    }


def test_every_file_of_an_argument_is_there_and_mounted(node: NodeConfig) -> None:
    """All of them exist after a start: a typo in a path would be an argument without a file."""
    for name in NAMES:
        pod = document(node, name)
        container = pod["spec"]["containers"][0]
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        data = str(node.paths.data)
        for text in container["args"]:
            value = text.partition("=")[2]
            if value.startswith((data, str(node.paths.etc))):
                assert Path(value).exists(), text
                inside = [folder for folder in mounted if value.startswith(f"{folder}/")]
                assert value in mounted or inside, text
        volumes = {volume["name"]: volume["hostPath"] for volume in pod["spec"]["volumes"]}
        assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {
            key: volume["path"] for key, volume in volumes.items()
        }
        for mount in container["volumeMounts"]:
            file = mount["name"].startswith("file")
            assert mount.get("readOnly", False) is file
            assert volumes[mount["name"]]["type"] == ("File" if file else "DirectoryOrCreate")


def test_a_kubeconfig_brings_its_certificates(node: NodeConfig) -> None:
    files = mounted_files(pods(node)["kube-proxy"])
    assert [path.name for path in files] == [
        "client-kube-proxy.crt",
        "client-kube-proxy.key",
        "kubeproxy.kubeconfig",
        "server-ca.crt",
    ]


def test_the_apiserver_sees_a_rotated_encryption_configuration(node: NodeConfig) -> None:
    spec = pods(node)["kube-apiserver"]
    assert node.paths.encryption_config not in mounted_files(spec)
    assert node.paths.server in spec.folders


def test_flags_that_a_boot_needs(node: NodeConfig) -> None:
    proxy = document(node, "kube-proxy")
    assert argument(proxy, "conntrack-max-per-core") == "0"
    assert argument(proxy, "conntrack-tcp-timeout-established") == "0s"
    apiserver = document(node, "kube-apiserver")
    assert argument(apiserver, "service-cluster-ip-range") == "10.43.0.0/16"
    assert argument(apiserver, "advertise-address") == "192.0.2.11"
    manager = document(node, "kube-controller-manager")
    assert argument(manager, "cluster-signing-kubelet-serving-cert-file").endswith("/server-ca.nochain.crt")
    helm = document(node, "helm-controller")
    assert argument(helm, "default-job-image") == "docker.io/rancher/klipper-helm:v1"
    assert helm["spec"]["containers"][0]["securityContext"]["runAsUser"] == 0


def test_etcd_remembers_its_membership(node: NodeConfig) -> None:
    annotation = document(node, "etcd")["metadata"]["annotations"]["etcd.k3s.io/initial"]
    assert json.loads(annotation) == {
        "initial-advertise-peer-urls": "https://192.0.2.11:2380",
        "initial-cluster": "n1-0a1b2c3d=https://192.0.2.11:2380",
        "initial-cluster-state": "new",
    }


def test_the_file_hash_is_over_all_mounted_files(node: NodeConfig) -> None:
    spec = pods(node)["kube-scheduler"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in mounted_files(spec))).hexdigest()
    environment = document(node, "kube-scheduler")["spec"]["containers"][0]["env"]
    assert environment == [{"name": "FILE_HASH", "value": digest}]


def test_anything_that_changes_gives_another_pod(tmp_path: Path) -> None:
    def uid(*settings: tuple[str, str], name: str = "kube-scheduler") -> str:
        node = node_config(tmp_path, *settings)
        manifest = compose(scheduler_pod(node, IMAGE), path=node.paths.manifest(name), environment={})
        return manifest.uid

    start(node_config(tmp_path))
    first = uid()
    assert uid() == first
    assert uid(("kube-scheduler-arg", "v=2")) != first
    assert uid(("control-plane-resource-requests", "kube-scheduler-cpu=1m")) != first
    assert uid(name="other") != first
    certificate = node_config(tmp_path).paths.tls / "client-scheduler.crt"
    certificate.write_bytes(certificate.read_bytes() + b"\n")
    assert uid() != first


def test_the_same_values_give_the_same_bytes_in_another_process(node: NodeConfig) -> None:
    code = (
        "from pathlib import Path; from tests.support.nodes import node_config; "
        "from tests.support.nodes import static_pods as pods; from runtime.staticpods.place import compose; "
        "import sys; n = node_config(Path(sys.argv[1])); "
        "[sys.stdout.write(compose(p, path=n.paths.manifest(k), environment={}).text) for k, p in pods(n).items()]"
    )
    here = "".join(
        compose(spec, path=node.paths.manifest(name), environment={}).text for name, spec in pods(node).items()
    )
    root = str(node.paths.data.parent)
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "LC_ALL": "C", "TZ": "Asia/Tokyo"}
        command = [sys.executable, "-c", code, root]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=Path(__file__).parents[3])
        assert done.stdout == here, done.stderr


def test_requests_and_limits_are_the_administrators(tmp_path: Path) -> None:
    node = node_config(
        tmp_path,
        ("control-plane-resource-requests", "kube-proxy-cpu=10m"),
        ("control-plane-resource-limits", "kube-proxy-memory=1Gi"),
    )
    spec = proxy_pod(node, IMAGE)
    assert dict(spec.requests) == {"cpu": "10m", "memory": "128Mi"}
    assert dict(spec.limits) == {"memory": "1Gi"}


def test_proxy_settings_of_the_process_go_on_to_the_pods(node: NodeConfig) -> None:
    environment = {"PATH": "/bin", "no_proxy": "10.0.0.0/8", "HTTPS_PROXY": "http://p:3128"}
    assert proxy_variables(environment) == {"HTTPS_PROXY": "http://p:3128", "no_proxy": "10.0.0.0/8"}


def test_a_manifest_appears_whole_and_only_when_it_differs(node: NodeConfig) -> None:
    path = node.paths.manifest("kube-proxy")
    manifest = compose(pods(node)["kube-proxy"], path=path, environment={})
    assert placed_uid(path) is None
    assert place(manifest)
    assert path.read_text() == manifest.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["kube-proxy.yaml"]
    before = path.stat().st_mtime_ns
    assert not place(manifest)
    assert path.stat().st_mtime_ns == before
    assert placed_uid(path) == manifest.uid
    withdraw(path)
    withdraw(path)
    assert not path.exists()


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    with pytest.raises(MissingError, match="peer-ca"):
        compose(pods(node)["etcd"], path=node.paths.manifest("etcd"), environment={})


@pytest.mark.parametrize("text", ["", "[]", "metadata: {uid: 5}", "a: [", "metadata:"])
def test_what_is_no_manifest_has_no_uid(tmp_path: Path, text: str) -> None:
    path = tmp_path / "etcd.yaml"
    path.write_text(text)
    assert placed_uid(path) is None
