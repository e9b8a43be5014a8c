"""Work that needs no container: each function gets the emulated bundle's images and a folder, and tells what was done.

What fails raises. All of it is done by programs of the bundle alone.
"""

import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.emulate.roots import Root

Work = Callable[[dict[str, Root], Path], str]
ETCD, KUBERNETES, RUNTIME, CNI = "hardened-etcd", "hardened-kubernetes", "rke2-runtime", "hardened-cni-plugins"
_PATIENCE: Final = 240  # seconds for a server to answer: emulated programs take ten times as long


def etcd_keeps_a_value_behind_its_own_certificates(images: dict[str, Root], folder: Path) -> str:
    """Consensus of one, a database, and TLS out of the program's own crypto: keys, certificates, handshakes."""
    client, peer = _port(), _port()
    command = images[ETCD].command(
        "usr/local/bin/etcd", "--data-dir", folder / "data", "--auto-tls", "--peer-auto-tls",
        "--listen-client-urls", f"https://127.0.0.1:{client}", "--advertise-client-urls", f"https://127.0.0.1:{client}",
        "--listen-peer-urls", f"https://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"https://127.0.0.1:{peer}",
        "--initial-cluster", f"default=https://127.0.0.1:{peer}",
    )  # fmt: skip

    def ctl(*words: str) -> str:
        there = (
            "--endpoints",
            f"https://127.0.0.1:{client}",
            "--insecure-skip-tls-verify",
            "--insecure-transport=false",
        )
        return _ran(images[ETCD].command("usr/local/bin/etcdctl", *there, "--command-timeout=60s", *words))

    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as etcd:
        try:
            _wait(client, etcd)
            assert ctl("put", "site", "ship").strip() == "OK"
            assert ctl("get", "site", "--print-value-only").strip() == "ship"
        finally:
            etcd.terminate()
            etcd.wait(60)
    return "OK"


def host_local_gives_an_address_and_remembers_it(images: dict[str, Root], folder: Path) -> str:
    """The CNI contract, ADD twice: two addresses, and both on disk."""
    network = {
        "cniVersion": "1.0.0", "name": "pods",
        "ipam": {"type": "host-local", "dataDir": str(folder), "ranges": [[{"subnet": "10.42.0.0/24"}]]},
    }  # fmt: skip
    found = []
    for container in ("one", "two"):
        environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": container, "CNI_NETNS": "/none",
                       "CNI_NETNS_OVERRIDE": "1",
                       "CNI_IFNAME": "eth0", "CNI_PATH": "/", "PATH": os.environ["PATH"]}  # fmt: skip
        text = _ran(images[CNI].command("opt/cni/bin/host-local"), json.dumps(network), environment)
        found += [row["address"] for row in json.loads(text)["ips"]]
    assert found == ["10.42.0.2/24", "10.42.0.3/24"], found
    assert (folder / "pods/10.42.0.3").read_text().split()[0] == "two"
    return ", ".join(found)


def kubectl_writes_a_deployment(images: dict[str, Root], folder: Path) -> str:
    """The client's own types, without a server."""
    words = ("create", "deployment", "web", "--image=rancher/x:1", "--replicas=3", "--dry-run=client", "-o", "json")
    environment = {"HOME": str(folder), "KUBECONFIG": os.devnull, "PATH": os.environ["PATH"]}
    found = json.loads(_ran(images[RUNTIME].command("bin/kubectl", *words), "", environment))
    assert (found["kind"], found["spec"]["replicas"]) == ("Deployment", 3)
    return f"{found['apiVersion']} {found['kind']}"


def the_api_server_lists_what_it_was_built_with(images: dict[str, Root], folder: Path) -> str:
    """Starts far enough to register every API group and flag."""
    text = _ran(images[KUBERNETES].command("usr/local/bin/kube-apiserver", "--help"))
    assert "--encryption-provider-config" in text and "NodeRestriction" in text
    return f"{len(text)} characters of help"


def containerd_tells_its_configuration(images: dict[str, Root], folder: Path) -> str:
    """All plugins are linked in and register."""
    text = _ran(images[RUNTIME].command("bin/containerd", "config", "default"))
    assert "io.containerd.grpc.v1.cri" in text and "overlayfs" in text
    return f"{len(text.splitlines())} lines"


def helm_renders_a_chart(images: dict[str, Root], folder: Path) -> str:
    """Templates with values, as the helm job does it."""
    chart = folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 1.0.0\n")
    (chart / "templates/m.yaml").write_text("kind: ConfigMap\nname: {{ .Values.name | upper | sha256sum }}\n")
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    text = _ran(
        images["klipper-helm"].command("usr/bin/helm", "template", chart, "--set", "name=ship"), "", environment
    )
    assert f"name: {hashlib.sha256(b'SHIP').hexdigest()}" in text, text
    return text.splitlines()[-1]


def coredns_answers(images: dict[str, Root], folder: Path) -> str:
    """A name out of a hosts block, over TCP."""
    port = _port()
    corefile = folder / "Corefile"
    corefile.write_text(f".:{port} {{\n bind 127.0.0.1\n hosts {{\n  10.43.0.10 dns.site\n }}\n}}\n")
    with subprocess.Popen(
        images["hardened-coredns"].command("coredns", "-conf", corefile), stdout=subprocess.DEVNULL
    ) as dns:
        try:
            _wait(port, dns)
            with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as line:
                question = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03dns\x04site\x00\x00\x01\x00\x01"
                line.sendall(len(question).to_bytes(2, "big") + question)
                answer = line.recv(512)
        finally:
            dns.terminate()
            dns.wait(60)
    assert answer.endswith(b"\x0a\x2b\x00\x0a"), answer
    return "10.43.0.10"


WORKS: Final[tuple[Work, ...]] = (
    etcd_keeps_a_value_behind_its_own_certificates,
    host_local_gives_an_address_and_remembers_it,
    kubectl_writes_a_deployment,
    the_api_server_lists_what_it_was_built_with,
    containerd_tells_its_configuration,
    helm_renders_a_chart,
    coredns_answers,
)


def _ran(command: list[str | Path], given: str = "", environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, input=given, env=environment, capture_output=True, text=True, timeout=_PATIENCE)
    assert done.returncode == 0, f"{command}: {done.stdout[-500:]}{done.stderr[-1000:]}"
    return done.stdout


def _port() -> int:
    """One that nobody listens on."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port: int = line.getsockname()[1]
        return port


def _wait(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        assert server.poll() is None, f"ended with {server.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("it does not listen")
