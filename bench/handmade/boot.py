"""`python -m bench.handmade.boot SETTINGS`: a server booted by hand, one step after the other, until its Node is Ready.

RKE2's order: programs, keys, configuration, containerd, images, etcd, apiserver, the rest, charts. No check of any
byte. At the end it writes when each step was done (Unix time), and stays, because containerd and the kubelet are its
children.
"""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from bench.handmade import certificates, configs, pods
from bench.handmade.settings import ADMIN, AGENT, API, BIN, CHARTS, SERVER, SOCKET, TLS, Settings

EVERY = 0.1  # seconds between two looks
CTR = ("ctr", "-a", str(SOCKET), "-n", "k8s.io", "images")
KUBECTL = ("kubectl", f"--kubeconfig={ADMIN}")
PIN = ("io.cattle.rke2.pinned=pinned", "io.cri-containerd.pinned=pinned")
VALUES = {
    "global.clusterCIDR": "10.42.0.0/16",
    "global.clusterCIDRv4": "10.42.0.0/16",
    "global.clusterDNS": "10.43.0.10",
    "global.clusterDomain": "cluster.local",
    "global.rke2DataDir": "/var/lib/rancher/rke2",
    "global.serviceCIDR": "10.43.0.0/16",
}
ROLES = ("node-role.kubernetes.io/control-plane=true", "node-role.kubernetes.io/etcd=true")


class Boot:
    """One boot: `line` is its time line."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.began = settings, time.time()
        self.line: list[tuple[str, float]] = []

    def run(self) -> None:
        """All of it."""
        for step in (self.programs, self.files, self.containerd, self.images, self.control_plane, self.charts):
            step()
        self.until("ready", self.node_is_ready)

    def mark(self, what: str) -> None:
        """A step is done."""
        self.line.append((what, time.time()))
        print(f"[{time.time() - self.began:7.2f}] {what}", flush=True)

    def until(self, what: str, test: Callable[[], bool]) -> None:
        """Waits for it."""
        while not test():
            time.sleep(EVERY)
        self.mark(what)

    def programs(self) -> None:
        """The runtime image's layers, unpacked with tar and zstd."""
        target = BIN.parent
        target.mkdir(parents=True)
        (image,) = json.loads(output("tar", "-xOf", self.settings.runtime, "manifest.json"))
        script = 'tar -xOf "$1" "$2" | zstd -dcq | tar -xf - -C "$3"'
        for layer in image["Layers"]:
            output("sh", "-ec", script, "unpack", self.settings.runtime, layer, str(target))
        os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"
        self.mark("programs")

    def files(self) -> None:
        """Keys and configuration."""
        certificates.make(self.settings)
        configs.make(self.settings)
        self.mark("files")

    def containerd(self) -> None:
        """Up when its CRI answers."""
        start("containerd", "-c", f"{AGENT}/etc/containerd/config.toml", log=AGENT / "containerd/containerd.log")
        crictl = ("crictl", "--config", f"{AGENT}/etc/crictl.yaml", "version")
        self.until("containerd", lambda: SOCKET.exists() and works(*crictl))

    def images(self) -> None:
        """Each archive, then the pins."""
        for archive in self.settings.archives:
            output(*CTR, "import", "--all-platforms", "--no-unpack", archive)
        for name in output(*CTR, "ls", "-q").split():
            output(*CTR, "label", name, *PIN)
        self.mark("images")

    def control_plane(self) -> None:
        """The kubelet, and static pods, each when what it talks to is there."""
        for name in ("etcd", "kube-proxy"):
            pods.place(name, self.settings)
        start(*self.kubelet(), log=AGENT / "logs/kubelet.log")
        self.until("kubelet", lambda: get("http://127.0.0.1:10248/healthz") is not None)
        etcd = context(TLS / "etcd/server-ca.crt", TLS / "etcd/client")
        self.until("etcd", lambda: get("https://127.0.0.1:2382/health", etcd) is not None)
        pods.place("kube-apiserver", self.settings)
        self.admin = context(TLS / "server-ca.crt", TLS / "client-admin")
        self.until("apiserver", lambda: get(f"{API}/readyz", self.admin) is not None)
        for name in ("kube-controller-manager", "kube-scheduler", "helm-controller"):
            pods.place(name, self.settings)

    def kubelet(self) -> tuple[str, ...]:
        """Its command."""
        return (
            "kubelet",
            f"--config-dir={AGENT}/etc/kubelet.conf.d",
            f"--kubeconfig={AGENT}/kubelet.kubeconfig",
            f"--containerd={SOCKET}",
            f"--hostname-override={self.settings.node}",
            f"--node-ip={self.settings.address}",
            "--read-only-port=0",
            "--volume-plugin-dir=/var/lib/kubelet/volumeplugins",
            "--file-check-frequency=5s",
            "--sync-frequency=30s",
        )

    def charts(self) -> None:
        """The bundle's own HelmCharts, told of the cluster, as soon as the cluster knows what they are."""
        self.until("helm-controller", lambda: get(f"{API}/apis/helm.cattle.io/v1", self.admin) is not None)
        target = SERVER / "charts.yaml"
        with target.open("w") as file:
            for path in sorted(CHARTS.glob("*.yaml")):
                for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
                    if document and document["kind"] == "HelmChart":
                        document["spec"]["set"] = {**(document["spec"].get("set") or {}), **VALUES}
                    file.write(json.dumps(document) + "\n---\n")
        output(*KUBECTL, "apply", "--server-side", "--validate=false", "-f", str(target))
        self.mark("charts")
        self.until("node", lambda: self.node() is not None)
        output(*KUBECTL, "label", "node", self.settings.node, *ROLES)

    def node(self) -> dict[str, Any] | None:
        """The Node object."""
        body = get(f"{API}/api/v1/nodes/{self.settings.node}", self.admin)
        return json.loads(body) if body else None

    def node_is_ready(self) -> bool:
        """Ready, by a heartbeat of this boot."""
        for condition in (self.node() or {}).get("status", {}).get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] == "True":
                beat = datetime.fromisoformat(condition["lastHeartbeatTime"].replace("Z", "+00:00"))
                return beat.timestamp() >= int(self.began)
        return False


def output(*words: str) -> str:
    """Runs a program to its end."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


def works(*words: str) -> bool:
    """Whether a program ends well."""
    return subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def start(*words: str, log: Path) -> None:
    """Starts a program that runs on."""
    with log.open("ab") as file:
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)


def context(authority: Path, stem: Path) -> ssl.SSLContext:
    """Whom to trust, and who we are."""
    found = ssl.create_default_context(cafile=str(authority))
    found.load_cert_chain(f"{stem}.crt", f"{stem}.key")
    return found


def get(url: str, trust: ssl.SSLContext | None = None) -> bytes | None:
    """A page; None when there is no good answer."""
    try:
        with urllib.request.urlopen(url, context=trust, timeout=5) as answer:
            body: bytes = answer.read()
            return body
    except (OSError, http.client.HTTPException):
        return None


def main() -> None:
    """Boots, and waits for its end."""
    boot = Boot(Settings.read(sys.argv[1]))
    boot.run()
    aside = Path(f"{boot.settings.result}.new")
    aside.write_text(json.dumps(dict(boot.line)))
    aside.rename(boot.settings.result)
    signal.pause()


if __name__ == "__main__":
    main()
