"""The charts we ship, rendered by the real helm with the values that sites set."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.real
RECIPES = Path(__file__).resolve().parents[2] / "recipes"
COREDNS = RECIPES / "rke2-v1.34/charts/coredns"
IMAGE = "rancher/hardened-coredns:v1.12.4-build20260211"


def run_helm(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False)


def render(helm: Path, values: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Values -> objects by kind."""
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    done = run_helm(
        helm, "template", "rke2-coredns", str(COREDNS), "-n", "kube-system", "-f", f"{tmp_path}/values.yaml"
    )
    assert done.returncode == 0, done.stderr
    return {each["kind"]: each for each in yaml.safe_load_all(done.stdout) if each}


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
