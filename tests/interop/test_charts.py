"""Helm itself lints and renders the charts, from the recipe's folder and from what lies in the bundle."""

import base64
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.node import extracted_node

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
CHARTS = sorted(path.parent for path in ROOT.glob("recipes/*/charts/*/Chart.yaml"))


def run(helm: Path, *arguments: str | Path) -> str:
    done = subprocess.run([helm, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("chart", CHARTS, ids=lambda path: path.name)
def test_a_chart_is_clean_and_renders_the_same_twice(helm: Path, chart: Path) -> None:
    assert "0 chart(s) failed" in run(helm, "lint", "--strict", chart)
    first = run(helm, "template", "release", chart, "--namespace", "kube-system")
    assert first == run(helm, "template", "release", chart, "--namespace", "kube-system")
    assert all(document is None or document["kind"] for document in yaml.safe_load_all(first))


def test_the_packaged_chart_in_the_bundle_renders_as_its_folder_does(
    helm: Path, rke2_bundle: Path, tmp_path: Path
) -> None:
    node = extracted_node(rke2_bundle, tmp_path / "node")
    manifest = yaml.safe_load((node.charts / "rke2-coredns.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("helm.cattle.io/v1", "HelmChart")
    assert manifest["metadata"]["annotations"]["rke2.cattle.io/inject-cluster-config"] == "true"
    assert manifest["spec"]["bootstrap"] is True
    archive = tmp_path / "coredns.tgz"
    archive.write_bytes(base64.b64decode(manifest["spec"]["chartContent"], validate=True))
    values = ["--set", "global.clusterDNS=10.99.0.10", "--set", "global.systemDefaultRegistry=registry.example:5000"]
    packaged = run(helm, "template", "rke2-coredns", archive, *values)
    assert packaged == run(helm, "template", "rke2-coredns", ROOT / "recipes/rke2-v1.34/charts/coredns", *values)
    assert 'clusterIP: "10.99.0.10"' in packaged
    assert "registry.example:5000/rancher/hardened-coredns:" in packaged
