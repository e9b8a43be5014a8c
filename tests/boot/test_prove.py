"""Whole proofs of the bundle that `make test` built: a cold boot, and what is said of bundles that lack something."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bundles import index
from runtime.prove import report as documents
from runtime.prove.across import ACROSS
from runtime.prove.checks import CHECKS
from runtime.prove.footprint import still_there
from runtime.prove.images import NODE, SANDBOXES
from tests.support.damage import flip
from tests.support.node import sealift_node
from tests.support.without import without_image

pytestmark = pytest.mark.real
QUIET = ("--insecure-no-signature", "--progress", "none")
INGRESS = ("ingress-traefik", "ingress-default")


@pytest.mark.parametrize("flavour", ["rke2_bundle", "modern_bundle"])
def test_the_bundle_boots_cold_with_no_way_out_and_everything_works(
    request: pytest.FixtureRequest, flavour: str, tmp_path: Path
) -> None:
    """With containerd 1.7, and with containerd 2 and its own configuration."""
    path, bundle = tmp_path / "report.json", request.getfixturevalue(flavour)
    done = sealift_node("prove", bundle, "--report", path, "--logs", tmp_path / "logs", *QUIET, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server_log(tmp_path)}"
    found = documents.read(path)
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    assert found.faults() == ()
    assert (found.bundle.name, found.bundle.version) == (bundle.name, document.version)
    assert [check.name for check in found.checks] == [*(check.name for check in CHECKS), *INGRESS, "images", "teardown"]
    assert found.choices == {"cni": "flannel", "ingress-controller": "traefik"}
    promised = {image.reference: image.digest for image in document.images}
    assert {image.reference: image.digest for image in found.images} == promised
    assert found.unused == ()
    users = {user for image in found.images for user in image.used_by}
    assert {NODE, SANDBOXES, "Pod kube-system/etcd-prove1", "DaemonSet kube-system/kube-flannel-ds"} <= users
    assert all(node.ready_seconds is not None for node in found.nodes)
    assert all(stage.seconds is not None for stage in found.stages)
    assert all(pod.restarts == 0 for pod in found.pods)


def test_agents_join_and_the_network_between_nodes_works_until_one_dies(rke2_bundle: Path, tmp_path: Path) -> None:
    """Without an ingress controller: its chart stays away, its image is nobody's, and that is no fault."""
    path, logs = tmp_path / "report.json", tmp_path / "logs"
    more = ("--agents", "2", "--choose", "ingress-controller=none")
    done = sealift_node("prove", rke2_bundle, *more, "--report", path, "--logs", logs, *QUIET, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server_log(tmp_path)}"
    found = documents.read(path)
    assert found.faults() == ()
    assert [(node.name, node.role) for node in found.nodes] == [
        ("prove1", "server"),
        ("prove2", "agent"),
        ("prove3", "agent"),
    ]
    assert all(node.ready_seconds is not None for node in found.nodes)
    ended = [check.name for check in found.checks]
    assert ended == [*(check.name for check in (*CHECKS, *ACROSS)), "images", "node-loss", "teardown"]
    assert found.choices["ingress-controller"] == "none" and found.unused == ()
    assert not any("traefik" in image.reference for image in found.images)
    assert not any("traefik" in pod.name for pod in found.pods) and "no ingress controller" in done.stderr
    assert (logs / "prove3" / "agent.log").exists()


def test_three_servers_lose_their_leader_and_no_acknowledged_write(rke2_bundle: Path, tmp_path: Path) -> None:
    path, logs = tmp_path / "report.json", tmp_path / "logs"
    done = sealift_node("prove", rke2_bundle, "--servers", "3", "--report", path, "--logs", logs, *QUIET, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{server_log(tmp_path)}"
    found = documents.read(path)
    assert found.faults() == ()
    assert [node.role for node in found.nodes] == ["server"] * 3
    assert all(node.ready_seconds is not None for node in found.nodes)
    ended = [check.name for check in found.checks]
    end = ["quorum", "images", "server-loss", "server-return", "teardown"]
    across = [check.name for check in ACROSS]
    assert ended == [*(check.name for check in CHECKS), *INGRESS, *across, *end]
    loss = found.server_loss
    assert isinstance(loss, documents.ServerLoss)
    assert loss.before < loss.writes == loss.acknowledged == 1000 and loss.missing == 0
    assert loss.back_seconds is not None


def test_an_image_that_a_chart_asks_for_and_nobody_has_is_named_with_who_asked(
    rke2_bundle: Path, tmp_path: Path
) -> None:
    bundle, reference = without_image(rke2_bundle, tmp_path, "metrics-server")
    found, words = failed_proof(bundle, tmp_path)
    assert found["missing"] == [{"reference": reference, "used_by": ["Deployment kube-system/rke2-metrics-server"]}]
    assert f"{reference} is not in the bundle, Deployment kube-system/rke2-metrics-server asks" in words
    assert found["ready"] is False and found["outside"]["attempts"] > 0


def test_an_image_without_which_no_node_begins_is_named(rke2_bundle: Path, tmp_path: Path) -> None:
    bundle, _ = without_image(rke2_bundle, tmp_path, "hardened-etcd")
    found, _ = failed_proof(bundle, tmp_path)
    assert [image["reference"] for image in found["missing"]] == ["etcd-image"]
    assert found["outside"] == {"attempts": 0, "packets": 0, "control": True}
    assert {"name": "teardown", "ok": True, "seconds": 0.0} in found["checks"]
    assert found["failure"]["during"] == "boot" and "etcd-image" in found["failure"]["error"]


def test_a_damaged_bundle_gets_a_report_that_names_the_archive(rke2_bundle: Path, tmp_path: Path) -> None:
    bundle = tmp_path / rke2_bundle.name
    shutil.copytree(rke2_bundle, bundle, copy_function=os.link)
    archive = bundle / "images/rke2-images-flannel.linux-amd64.tar"
    archive.unlink()
    shutil.copy(rke2_bundle / "images" / archive.name, archive)
    flip(archive, archive.stat().st_size // 2)
    (tmp_path / "report.json").write_text("an earlier proof: all is well")
    found, words = failed_proof(bundle, tmp_path)
    assert found["ready"] is False and found["failure"]["during"] == "stage"
    assert archive.name in found["failure"]["error"] and archive.name in words
    assert found["bundle"]["name"] == rke2_bundle.name and found["stages"] == [] and found["missing"] == []
    assert {"name": "teardown", "ok": True, "seconds": 0.0} in found["checks"]


def test_what_is_no_bundle_gets_a_report_too(tmp_path: Path) -> None:
    bundle = tmp_path / "b-v1"
    bundle.mkdir()
    (bundle / index.INDEX_NAME).write_text("{")
    found, words = failed_proof(bundle, tmp_path)
    assert found["bundle"] == {"name": "b-v1", "version": "", "sha256": None}
    assert found["failure"]["during"] == "read" and index.INDEX_NAME in found["failure"]["error"]
    assert index.INDEX_NAME in words


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_proof_leaves_nothing(rke2_bundle: Path, tmp_path: Path, number: signal.Signals) -> None:
    report, work = tmp_path / "report.json", tmp_path / "work"
    work.mkdir()
    command = [sys.executable, "-c", "from runtime.cli import main; main()", "prove", str(rke2_bundle), *QUIET]
    command += ["--report", str(report), "--work", str(work)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(9000):  # other boots of this machine come first
            if started := list(work.glob("*/prove1/rancher/rke2/agent/sealift/daemon.json")):
                break
            time.sleep(0.1)
        process.send_signal(number)
        assert process.stderr is not None
        words = process.stderr.read()
    assert started, words
    assert process.returncode == 130, words
    assert not report.exists()
    assert list(work.iterdir()) == []
    name = started[0].relative_to(work).parts[0]
    assert still_there(frozenset(), (name,)) == ()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{name}"))


def failed_proof(bundle: Path, tmp_path: Path) -> tuple[dict[str, Any], str]:
    path = tmp_path / "report.json"
    done = sealift_node("prove", bundle, "--report", path, "--logs", tmp_path / "logs", *QUIET, check=False)
    assert done.returncode == 1, f"{done.stdout}\n{done.stderr}\n{server_log(tmp_path)}"
    document: dict[str, Any] = json.loads(path.read_text())
    return document, done.stderr


def server_log(tmp_path: Path) -> str:
    path = tmp_path / "logs/server.log"
    return path.read_text()[-3000:] if path.exists() else ""
