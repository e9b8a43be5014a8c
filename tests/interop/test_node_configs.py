"""The programs of the bundle read what the node writes for them: configurations, certificates and manifests."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from runtime.configs.containerd import containerd_config
from runtime.configs.kubelet import kubelet_arguments
from runtime.staticpods.place import compose, place
from tests.support.node import Node, extracted_node
from tests.support.nodes import HOST, PAUSE, node_config, start, static_pods

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def node(rke2_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Node:
    return extracted_node(rke2_bundle, tmp_path_factory.mktemp("node"))


def test_containerd_keeps_every_value(tmp_path: Path, node: Node) -> None:
    config = node_config(tmp_path / 'a "quoted" földer')
    path = tmp_path / "config.toml"
    path.write_text(containerd_config(config, PAUSE, HOST))
    command = [str(node.bin / "containerd"), "-c", str(path), "config", "dump"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    ours, theirs = tomllib.loads(path.read_text()), tomllib.loads(done.stdout)
    assert lacking(ours, theirs) == []


def lacking(ours: object, theirs: object, where: str = "") -> list[str]:
    """What of ours is not, or not so, in theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [text for key in ours for text in lacking(ours[key], theirs.get(key), f"{where}/{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [text for number, pair in pairs for text in lacking(*pair, f"{where}/{number}")]
    return [] if ours == theirs else [f"{where}: {ours!r} != {theirs!r}"]


def test_the_kubelet_takes_our_configuration(tmp_path: Path, node: Node) -> None:
    """It reads and validates its configuration, then ends over the containerd that is not there."""
    config = node_config(tmp_path, ("node-taint", "k=v:NoSchedule"), ("node-label", "a=b"))
    start(config)
    arguments = kubelet_arguments(config)
    told = run([str(node.bin / "kubelet"), *arguments])
    assert "validate CRI v1 runtime API" in told, told[-2000:]
    # Drop-ins are merged whatever their keys; the same text as `--config` is read strictly.
    dropin = config.paths.kubelet_config
    strict = [text for text in arguments if not text.startswith("--config-dir=")] + [f"--config={dropin}"]
    told = run([str(node.bin / "kubelet"), *strict])
    assert "validate CRI v1 runtime API" in told and "strict decoding" not in told, told[-2000:]
    dropin.write_text(dropin.read_text().replace("serializeImagePulls", "serialiseImagePulls"))
    assert "serialiseImagePulls" in run([str(node.bin / "kubelet"), *strict])


def test_kubernetes_own_types_keep_every_field_of_the_manifests(tmp_path: Path, node: Node) -> None:
    """`kubectl set --local` reads into the Go types and writes them: what they do not know is lost."""
    config = node_config(tmp_path)
    start(config)
    for name, spec in static_pods(config).items():
        manifest = compose(spec, path=tmp_path / f"{name}.yaml", environment={})
        assert place(manifest)
        command = [str(node.bin / "kubectl"), "set", "env", "--local", "-f", str(manifest.path), "-o", "json", "X=1"]
        done = subprocess.run(command, env={"HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        ours, theirs = yaml.safe_load(manifest.text), json.loads(done.stdout)
        assert theirs["spec"]["containers"][0]["env"].pop() == {"name": "X", "value": "1"}
        assert lacking(ours, theirs) == []


def test_kubectl_reads_our_kubeconfigs(tmp_path: Path, node: Node) -> None:
    config = node_config(tmp_path)
    start(config)
    files = [config.paths.admin_kubeconfig, config.paths.cred / "admin.kubeconfig", config.paths.kubelet_kubeconfig]
    for file in files:
        command = [str(node.bin / "kubectl"), "--kubeconfig", str(file), "config", "view", "--minify", "--flatten"]
        done = subprocess.run([*command, "-o", "json"], env={"HOME": str(tmp_path)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
        assert document["users"][0]["user"]["client-key-data"]


def run(command: list[str]) -> str:
    """A program that is to fail: what it says."""
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    return done.stdout + done.stderr
