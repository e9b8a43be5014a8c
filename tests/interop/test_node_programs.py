"""From the extracted directory, with nothing else on PATH: the ten programs do their work together."""

import json
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles import index
from tests.support.containerd import Containerd
from tests.support.node import Node, extracted_node

pytestmark = pytest.mark.real
VERSIONS = {
    "containerd": (["--version"], "v1.7.35"),
    "containerd-shim-runc-v1": (["-v"], "1.7.35"),
    "containerd-shim-runc-v2": (["-v"], "1.7.35"),
    "ctr": (["--version"], "1.7.35"),
    "runc": (["--version"], "1.3.4"),
    "kubelet": (["--version"], "Kubernetes v1.34.4"),
    "kubectl": (["version", "--client"], "v1.34.4"),
    "crictl": (["--version"], "v1.34.0"),
    "socat": (["-V"], "1.7.4.4"),
}


@pytest.fixture(scope="module")
def node(rke2_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Node:
    return extracted_node(rke2_bundle, tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def images(rke2_bundle: Path) -> dict[str, str]:
    """Short name -> full reference."""
    document = index.decode((rke2_bundle / index.INDEX_NAME).read_bytes())
    return {image.reference.split("/")[-1].split(":")[0]: image.reference for image in document.images}


@pytest.fixture(scope="module")
def daemon(
    node: Node, rke2_bundle: Path, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Containerd]:
    home = tmp_path_factory.mktemp("containerd")
    with Containerd(str(node.bin), home, pause=images["mirrored-pause"]) as daemon:
        for archive in sorted((node.data / "agent/images").glob("*.tar")):
            daemon.ctr("-n", "k8s.io", "images", "import", str(archive))
        yield daemon


def test_all_ten_programs_of_the_seed_are_there(node: Node) -> None:
    assert sorted(os.listdir(node.bin)) == sorted([*VERSIONS, "containerd-shim"])


@pytest.mark.parametrize("program", VERSIONS)
def test_each_program_says_its_version(node: Node, program: str) -> None:
    arguments, version = VERSIONS[program]
    done = subprocess.run([node.bin / program, *arguments], env={"PATH": ""}, capture_output=True, text=True)
    assert version in done.stdout + done.stderr


def test_ctr_answers_as_in_the_seed(daemon: Containerd) -> None:
    assert "v1.7.35" in daemon.ctr("version").stdout
    assert daemon.ctr("--namespace", "k8s.io", "containers", "list").stdout.startswith("CONTAINER")


@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("io.containerd.runc.v2", id="containerd-shim-runc-v2"),
        pytest.param("io.containerd.runc.v1", id="containerd-shim-runc-v1"),
        pytest.param("io.containerd.runtime.v1.linux", id="containerd-shim"),
    ],
)
def test_a_container_runs_through_each_shim(daemon: Containerd, images: dict[str, str], runtime: str) -> None:
    name = f"shim-{secrets.token_hex(3)}"
    reference = images["mirrored-pause"]
    daemon.ctr("-n", "k8s.io", "run", "--detach", "--null-io", "--runtime", runtime, reference, name)
    try:
        tasks = daemon.ctr("-n", "k8s.io", "tasks", "ls").stdout
        row = re.search(rf"^{name}\s+(\d+)\s+RUNNING", tasks, re.MULTILINE)
        assert row, tasks
        assert Path(f"/proc/{row[1]}/exe").readlink().name == "pause"
    finally:
        daemon.ctr("-n", "k8s.io", "tasks", "rm", "-f", name, check=False)
        daemon.ctr("-n", "k8s.io", "containers", "rm", name, check=False)


def test_crictl_runs_a_pod_and_lists_it(daemon: Containerd, images: dict[str, str], tmp_path: Path) -> None:
    assert "v1.7.35" in daemon.crictl("version").stdout
    assert set(images.values()) <= {
        name
        for image in json.loads(daemon.crictl("images", "-o", "json").stdout)["images"]
        for name in image["repoTags"]
    }
    pod_file, container_file = tmp_path / "pod.json", tmp_path / "container.json"
    pod_file.write_text(json.dumps(pod(tmp_path)))
    container_file.write_text(json.dumps(container(images["mirrored-pause"])))
    sandbox = daemon.crictl("runp", str(pod_file)).stdout.strip()
    try:
        created = daemon.crictl("create", sandbox, str(container_file), str(pod_file)).stdout.strip()
        daemon.crictl("start", created)
        row = next(line for line in daemon.crictl("ps").stdout.splitlines() if line.startswith(created[:13]))
        assert "Running" in row
    finally:
        daemon.crictl("rmp", "-f", sandbox)
    assert sandbox[:13] not in daemon.crictl("pods").stdout


def test_socat_relays_a_connection(node: Node, tmp_path: Path) -> None:
    """What containerd's port-forward asks of it: one end a listener, the other a server."""
    server, relay = tmp_path / "server.sock", tmp_path / "relay.sock"
    commands = [
        [f"UNIX-LISTEN:{server},fork", f"OPEN:{node.bin}/socat,rdonly"],
        [f"UNIX-LISTEN:{relay},fork", f"UNIX-CONNECT:{server}"],
    ]
    running = [subprocess.Popen([node.bin / "socat", *words], env={"PATH": ""}) for words in commands]
    try:
        for _ in range(100):
            if server.exists() and relay.exists():
                break
            time.sleep(0.05)
        client: list[str | Path] = [node.bin / "socat", "-u", f"UNIX-CONNECT:{relay}", "STDOUT"]
        received = subprocess.run(client, env={"PATH": ""}, capture_output=True, check=True, timeout=30).stdout
        assert received == (node.bin / "socat").read_bytes()
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def pod(logs: Path) -> dict[str, object]:
    """A sandbox in the host's network: no CNI is part of the runtime."""
    return {
        "metadata": {"name": "proof", "namespace": "default", "uid": secrets.token_hex(8), "attempt": 0},
        "log_directory": str(logs),
        "linux": {"security_context": {"namespace_options": {"network": 2}}},
    }


def container(reference: str) -> dict[str, object]:
    return {"metadata": {"name": "again"}, "image": {"image": reference}, "log_path": "again.log", "linux": {}}
