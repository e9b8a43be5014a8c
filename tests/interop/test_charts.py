"""Helm renders the packaged chart that lies in a bundle just as it renders the recipe's folder."""

import base64
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.node import extracted_node

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]


def run(helm: Path, *arguments: str | Path) -> str:
    done = subprocess.run([helm, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


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
