"""The charts we ship, rendered by the real helm with the values that sites set."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.real
RECIPES = Path(__file__).resolve().parents[2] / "recipes"
CHARTS = RECIPES / "rke2-v1.34/charts"
COREDNS = CHARTS / "coredns"
IMAGE = "rancher/hardened-coredns:v1.12.4-build20260211"


def run_helm(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False)


def render_all(helm: Path, chart: str, values: dict[str, Any], tmp_path: Path) -> list[dict[str, Any]]:
    """Values -> objects."""
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    release, folder = f"rke2-{chart}", str(CHARTS / chart)
    done = run_helm(helm, "template", release, folder, "-n", "kube-system", "-f", f"{tmp_path}/values.yaml")
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def render(helm: Path, values: dict[str, Any], tmp_path: Path, chart: str = "coredns") -> dict[str, Any]:
    """Values -> objects by kind; the last of each."""
    return {each["kind"]: each for each in render_all(helm, chart, values, tmp_path)}


@pytest.mark.parametrize("chart", sorted(RECIPES.glob("*/charts/*")), ids=lambda path: path.name)
def test_charts_pass_helm_s_own_lint(helm: Path, chart: Path) -> None:
    done = run_helm(helm, "lint", "--strict", str(chart))
    assert done.returncode == 0, done.stdout


def test_coredns_answers_at_the_cluster_s_address_without_upstream(helm: Path, tmp_path: Path) -> None:
    found = render(helm, {"global": {"clusterDNS": "10.53.0.10", "clusterDomain": "site.example"}}, tmp_path)
    service, corefile = found["Service"], found["ConfigMap"]["data"]["Corefile"]
    assert service["spec"]["clusterIP"] == "10.53.0.10"
    assert service["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    assert "kubernetes site.example in-addr.arpa ip6.arpa {\n" in corefile
    assert "forward" not in corefile
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"index.docker.io/{IMAGE}"
    assert pod["affinity"]["podAntiAffinity"]
    assert service["spec"]["selector"].items() <= found["Deployment"]["spec"]["template"]["metadata"]["labels"].items()


def test_no_plugin_s_block_stands_in_one_line(helm: Path, tmp_path: Path) -> None:
    corefile = render(helm, {}, tmp_path)["ConfigMap"]["data"]["Corefile"]
    assert all(line.endswith("{") for line in corefile.splitlines() if "{" in line)
    assert all(line.strip() == "}" for line in corefile.splitlines() if "}" in line)


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ({"global": {"systemDefaultRegistry": "registry.site:5000"}}, f"registry.site:5000/{IMAGE}"),
        ({"global": {"cattle": {"systemDefaultRegistry": "r.site"}}}, f"r.site/{IMAGE}"),
        ({"image": {"repository": "r.site/dns", "tag": "v1"}}, "r.site/dns:v1"),
        ({"image": {"digest": "sha256:" + "0" * 64}}, f"index.docker.io/{IMAGE.partition(':')[0]}@sha256:{'0' * 64}"),
    ],
)
def test_the_image_comes_from_the_registry_that_the_site_names(
    helm: Path, tmp_path: Path, values: dict[str, Any], image: str
) -> None:
    pod = render(helm, values, tmp_path)["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == image


def test_dual_stack_upstream_more_blocks_and_all_switches_render(helm: Path, tmp_path: Path) -> None:
    block = {"zones": [{"zone": "example.org"}], "port": 5353, "plugins": [{"name": "file", "parameters": "/x"}]}
    root = {"zones": [{"zone": "."}], "port": 53, "plugins": [{"name": "cache", "parameters": 30}]}
    values: dict[str, Any] = {
        "global": {"clusterDNS": "10.43.0.10,fd00::a"},
        "upstreamNameservers": ["192.0.2.1"],
        "servers": [root, block],
        "zoneFiles": [{"filename": "x.db", "contents": "text\n"}],
        "podAntiAffinity": "none",
        "podDisruptionBudget": {"enabled": False},
        "prometheus": {"service": {"enabled": False}},
        "rbac": {"create": False},
        "serviceAccount": {"create": False},
    }
    found = render(helm, values, tmp_path)
    assert sorted(found) == ["ConfigMap", "Deployment", "Service"]
    assert found["Service"]["spec"]["clusterIPs"] == ["10.43.0.10", "fd00::a"]
    assert {port["port"] for port in found["Service"]["spec"]["ports"]} == {53, 5353}
    assert "forward . 192.0.2.1 {\n" in found["ConfigMap"]["data"]["Corefile"]
    assert "affinity" not in found["Deployment"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("setting", ["autoscaler.enabled=true", "servers=null", "replicaCount=-1", "image.digest=x"])
def test_what_cannot_work_fails_while_rendering(helm: Path, setting: str) -> None:
    assert run_helm(helm, "template", "x", str(COREDNS), "--set", setting).returncode != 0


def net_conf(helm: Path, values: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render(helm, values, tmp_path, "flannel")["ConfigMap"]["data"]["net-conf.json"])
    return found


@pytest.mark.parametrize(
    ("values", "network", "six"),
    [
        ({}, "10.42.0.0/16", None),
        ({"global": {"clusterCIDR": "10.52.0.0/16"}}, "10.52.0.0/16", None),
        ({"global": {"clusterCIDR": "fd00:42::/56, 10.52.0.0/16"}}, "10.52.0.0/16", "fd00:42::/56"),
        ({"global": {"clusterCIDRv4": "10.1.0.0/16", "clusterCIDRv6": "fd01::/56"}}, "10.1.0.0/16", "fd01::/56"),
        ({"podCidr": "10.9.0.0/16", "global": {"clusterCIDR": "10.52.0.0/16"}}, "10.9.0.0/16", None),
        ({"global": {"clusterCIDR": "fd00:42::/56"}}, None, "fd00:42::/56"),
    ],
)
def test_flannel_gives_pods_the_cluster_s_addresses(
    helm: Path, tmp_path: Path, values: dict[str, Any], network: str | None, six: str | None
) -> None:
    conf = net_conf(helm, values, tmp_path)
    assert (conf.get("Network"), conf.get("IPv6Network")) == (network, six)
    assert conf.get("EnableIPv4", True) is (network is not None) and conf.get("EnableIPv6", False) is (six is not None)
    assert conf["Backend"] == {"Type": "vxlan"}


def test_flannel_s_backend_and_interface_are_the_site_s(helm: Path, tmp_path: Path) -> None:
    flannel = {"backend": "vxlan", "backendPort": 4789, "mtu": 1400, "vni": 7, "directRouting": True, "iface": "bond0"}
    values = {"flannel": {**flannel, "enableNFTables": True, "args": ["--kube-subnet-mgr"]}}
    conf = net_conf(helm, values, tmp_path)
    assert conf["Backend"] == {"Type": "vxlan", "Port": 4789, "MTU": 1400, "VNI": 7, "DirectRouting": True}
    assert conf["EnableNFTables"] is True
    pod = render(helm, values, tmp_path, "flannel")["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["--kube-subnet-mgr", "--iface=bond0"]


def test_without_a_configuration_of_ours_no_container_writes_one(helm: Path, tmp_path: Path) -> None:
    values = {"flannel": {"skipCNIConfigInstallation": True}}
    pod = render(helm, values, tmp_path, "flannel")["DaemonSet"]["spec"]["template"]["spec"]
    assert [container["name"] for container in pod["containers"]] == ["kube-flannel"]


@pytest.mark.parametrize(
    ("subnet", "want"),
    [
        ("FLANNEL_SUBNET=10.42.3.1/24 FLANNEL_NETWORK=10.42.0.0/16", ["10.42.3.0/24"]),
        ("FLANNEL_SUBNET=10.42.3.129/25 FLANNEL_NETWORK=10.42.0.0/16", ["10.42.3.128/25"]),
        ("FLANNEL_IPV6_SUBNET=fd00:42:0:1::1/64 FLANNEL_IPV6_NETWORK=fd00:42::/56", ["fd00:42:0:1::/64"]),
        (
            "FLANNEL_SUBNET=10.42.0.1/24 FLANNEL_NETWORK=10.42.0.0/16 "
            "FLANNEL_IPV6_SUBNET=fd00:42::1/64 FLANNEL_IPV6_NETWORK=fd00:42::/56",
            ["10.42.0.0/24", "fd00:42::/64"],
        ),
    ],
)
def test_the_node_s_configuration_is_written_from_flanneld_s_subnet(
    tmp_path: Path, subnet: str, want: list[str]
) -> None:
    (tmp_path / "subnet.env").write_text("\n".join([*subnet.split(), "FLANNEL_MTU=1450", "FLANNEL_IPMASQ=true", ""]))
    script = CHARTS / "flannel/files/write-conf.sh"
    process = subprocess.Popen(["sh", script, tmp_path / "subnet.env", tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None and b"wrote" in process.stdout.readline()
    process.terminate()
    assert process.wait() == 0, "it ends at once when its pod does"
    process.stdout.close()
    plugins = json.loads((tmp_path / "10-flannel.conflist").read_text())["plugins"]
    assert [plugin["type"] for plugin in plugins] == ["bridge", "portmap"]
    assert [each[0]["subnet"] for each in plugins[0]["ipam"]["ranges"]] == want
    assert len(plugins[0]["ipam"]["routes"]) == len(want) and plugins[0]["mtu"] == 1450
    assert list(tmp_path.glob(".*")) == []


def test_metrics_server_trusts_the_kubelets_by_the_cluster_s_authority(helm: Path, tmp_path: Path) -> None:
    found = render(helm, {}, tmp_path, "metrics-server")
    pod = found["Deployment"]["spec"]["template"]["spec"]
    arguments = pod["containers"][0]["args"]
    assert "--kubelet-certificate-authority=/kubelet-ca/ca.crt" in arguments
    assert not any("insecure" in argument for argument in arguments)
    assert {"name": "kubelet-ca", "configMap": {"name": "kube-root-ca.crt"}} in pod["volumes"]
    assert (
        found["APIService"]["spec"]["service"]["name"] == found["Service"]["metadata"]["name"] == "rke2-metrics-server"
    )
    assert found["Service"]["spec"]["selector"] == found["Deployment"]["spec"]["selector"]["matchLabels"]


def test_metrics_server_with_all_switches_renders(helm: Path, tmp_path: Path) -> None:
    values = {
        "args": ["--kubelet-insecure-tls"],
        "kubeletCA": {"configMap": ""},
        "hostNetwork": {"enabled": True},
        "podDisruptionBudget": {"enabled": True, "minAvailable": 1},
        "apiService": {"create": False},
        "rbac": {"create": False},
        "serviceAccount": {"create": False},
        "tolerations": [{"operator": "Exists"}],
    }
    found = render(helm, values, tmp_path, "metrics-server")
    assert sorted(found) == ["Deployment", "PodDisruptionBudget", "Service"]
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert pod["hostNetwork"] is True and pod["containers"][0]["args"][-1] == "--kubelet-insecure-tls"


def test_classes_can_be_added_and_left_out(helm: Path, tmp_path: Path) -> None:
    classes = {"spin": None, "kata": {"handler": "kata-qemu", "overhead": {"podFixed": {"cpu": "250m"}}}}
    found = render_all(helm, "runtimeclasses", {"runtimeClasses": classes}, tmp_path)
    handlers = {each["metadata"]["name"]: each["handler"] for each in found}
    assert "spin" not in handlers and handlers["nvidia"] == "nvidia" and handlers["kata"] == "kata-qemu"
    assert {each["kind"] for each in found} == {"RuntimeClass"}


@pytest.mark.parametrize(
    ("values", "host"),
    [
        ({}, "127.0.0.1"),
        ({"global": {"clusterCIDR": "fd42::/56,10.42.0.0/16"}}, "::1"),
        ({"flannel": {"apiserver": {"host": "api.site"}}}, "api.site"),
        ({"flannel": {"apiserver": {"host": ""}}}, None),
    ],
)
def test_flannel_asks_the_apiserver_where_every_node_answers(
    helm: Path, tmp_path: Path, values: dict[str, Any], host: str | None
) -> None:
    """The service's address answers only once kube-proxy has made its rules: half of joins took 38 s."""
    pod = render(helm, values, tmp_path, "flannel")["DaemonSet"]["spec"]["template"]["spec"]
    env = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert env.get("KUBERNETES_SERVICE_HOST") == host
    assert env.get("KUBERNETES_SERVICE_PORT") == ("6443" if host else None)


@pytest.mark.parametrize(
    ("values", "default"),
    [
        ({}, "false"),
        ({"global": {"systemDefaultIngressClass": "traefik"}}, "true"),
        ({"global": {"systemDefaultIngressClass": "ingress-nginx"}}, "false"),
        ({"global": {"systemDefaultIngressClass": "traefik"}, "ingressClass": {"isDefaultClass": False}}, "false"),
        ({"ingressClass": {"isDefaultClass": True}}, "true"),
    ],
)
def test_traefik_s_class_is_the_default_one_where_the_cluster_says_so(
    helm: Path, tmp_path: Path, values: dict[str, Any], default: str
) -> None:
    found = render(helm, values, tmp_path, "traefik")["IngressClass"]
    assert found["metadata"]["annotations"]["ingressclass.kubernetes.io/is-default-class"] == default


def test_traefik_takes_the_ports_of_every_node_and_asks_nobody(helm: Path, tmp_path: Path) -> None:
    found = render(helm, {}, tmp_path, "traefik")
    (container,) = found["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    assert {port["hostPort"] for port in container["ports"] if "hostPort" in port} == {80, 443}
    assert "--global.checkNewVersion=false" in container["args"]
    assert "--global.sendAnonymousUsage=false" in container["args"]
    assert {port["port"] for port in found["Service"]["spec"]["ports"]} == {80, 443}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_traefik_with_all_switches_renders(helm: Path, tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "deployment": {"kind": "Deployment", "replicas": 2},
        "ports": {"web": {"hostPort": None, "redirectTo": "websecure", "proxyProtocol": {"trustedIPs": ["10.0.0.1"]}}},
        "providers": {
            "file": {"enabled": True, "content": "http: {}"},
            "kubernetesIngress": {"namespaces": ["a", "b"]},
        },
        "logs": {"access": {"enabled": True, "format": "json"}},
        "metrics": {"prometheus": {"entryPoint": ""}},
        "service": {"type": "LoadBalancer", "spec": {"externalTrafficPolicy": "Local"}},
        "ingressClass": {"enabled": False},
        "rbac": {"enabled": False},
    }
    found = render(helm, values, tmp_path, "traefik")
    assert sorted(found) == ["ConfigMap", "Deployment", "Service", "ServiceAccount"]
    arguments = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--entryPoints.web.http.redirections.entryPoint.to=:443" in arguments
    assert "--providers.kubernetesIngress.namespaces=a,b" in arguments
    assert not any("prometheus" in argument for argument in arguments)


@pytest.mark.parametrize("setting", ["providers.kubernetesCRD.enabled=true", "deployment.kind=Pod"])
def test_what_traefik_s_chart_does_not_have_is_told(helm: Path, setting: str) -> None:
    assert run_helm(helm, "template", "x", str(CHARTS / "traefik"), "--set", setting).returncode != 0
