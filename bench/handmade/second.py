"""`python -m bench.handmade.second SETTINGS API`: a second node by hand, until it is Ready.

The first node's authorities were carried over to server/tls; keys are made and signed here. Then as the first one:
programs, configuration, containerd, images; of the pods only kube-proxy. No check of any byte.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

from bench.handmade import certificates, configs, pods
from bench.handmade.boot import Boot, context, get, start
from bench.handmade.settings import AGENT, Settings


class Second(Boot):
    """One more node of the cluster whose apiserver is at `api`."""

    def __init__(self, settings: Settings, api: str) -> None:
        super().__init__(settings)
        self.api = api

    def run(self) -> None:
        """All of it."""
        for step in (self.programs, self.files, self.containerd, self.images, self.pods):
            step()
        self.until("ready", self.node_is_ready)

    def files(self) -> None:
        """Keys and configuration."""
        certificates.make_agent(self.settings, self.api)
        configs.make(self.settings)
        self.mark("files")

    def pods(self) -> None:
        """The kubelet and kube-proxy; on loopback the apiserver answers, as on every node of RKE2: flannel asks it."""
        listen = "TCP-LISTEN:6443,bind=127.0.0.1,fork,reuseaddr"
        start("socat", listen, f"TCP:{self.api.partition('://')[2]}", log=AGENT / "logs/socat.log")
        pods.place("kube-proxy", self.settings)
        start(*self.kubelet(), log=AGENT / "logs/kubelet.log")
        self.until("kubelet", lambda: get("http://127.0.0.1:10248/healthz") is not None)
        self.admin = context(AGENT / "server-ca.crt", AGENT / "client-kubelet")

    def node(self) -> dict[str, Any] | None:
        """The Node object, which its kubelet may read."""
        body = get(f"{self.api}/api/v1/nodes/{self.settings.node}", self.admin)
        return json.loads(body) if body else None


def main() -> None:
    """Joins, and waits for its end."""
    boot = Second(Settings.read(sys.argv[1]), sys.argv[2])
    boot.run()
    aside = Path(f"{boot.settings.result}.new")
    aside.write_text(json.dumps(dict(boot.line)))
    aside.rename(boot.settings.result)
    signal.pause()


if __name__ == "__main__":
    main()
