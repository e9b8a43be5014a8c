"""Boots the staged bundle in a machine and watches until everything is ready, or cannot become so any more."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from bundles.errors import SealiftError
from bundles.files import os_errors
from bundles.index import BundleIndex
from runtime import yamlread
from runtime.choices import Chosen
from runtime.daemon.journal import read_journal
from runtime.layout import DEFAULT_DATA_DIR, NodeLayout
from runtime.process import Child
from runtime.prove.api import SocketApi, look
from runtime.prove.hands import API_SOCKET, PATHS, MachineHands
from runtime.prove.images import Seen, missing_now
from runtime.prove.namespaces import Machine, Switch, log_tail
from runtime.prove.objects import Cluster
from runtime.prove.probe import NAMESPACE
from runtime.prove.readiness import awaited, failed_jobs, pull_failed

CONFIG: Final = Path("/etc/rancher/rke2/config.yaml")
_EVERY: Final = 1.0  # seconds between two looks
_QUIET: Final = 10.0  # seconds between two lines that say what is awaited
_SERVER: Final = "from runtime.cli import main; main()"


@dataclass(slots=True)
class Observed:
    """What was seen of a boot. `trouble`: why it did not become ready; empty when it did."""

    cluster: Cluster = field(default_factory=Cluster)
    seen: Seen = field(default_factory=Seen)
    pulls: set[str] = field(default_factory=set)
    trouble: str = ""

    def take(self, cluster: Cluster) -> None:
        """Adds a look at the cluster; what the proof itself runs does not count."""
        if cluster.known:
            self.cluster = cluster
            self.seen.pods(pod for pod in cluster.pods if pod.metadata.namespace != NAMESPACE)
            self.pulls.update(event.message for event in cluster.pulls)


@dataclass(frozen=True, kw_only=True, slots=True)
class Booting:
    """A machine whose daemon runs.

    Args:
        machine: where.
        switch: the network it is plugged into.
        server: the daemon.
        index: of the bundle.
        since: when the daemon was started.
        clock: seconds that never go back.
        say: takes one line of talk at a time.
        nodes: names of the Nodes that must be there.
        chosen: what runs of the bundle.
        lost: why another machine of the proof cannot go on; empty while it can.
    """

    machine: Machine
    switch: Switch
    server: Child
    index: BundleIndex
    since: datetime
    clock: Callable[[], float]
    say: Callable[[str], None]
    observed: Observed = field(default_factory=Observed)
    nodes: tuple[str, ...] = ()
    chosen: Chosen = field(default_factory=Chosen)
    lost: Callable[[], str] = lambda: ""

    @property
    def layout(self) -> NodeLayout:
        """The data directory, as the host reaches it."""
        return host_layout(self.machine.home)

    @property
    def hands(self) -> MachineHands:
        """For checks."""
        return MachineHands(self.machine, self.switch)

    async def until_ready(self, seconds: float) -> bool:
        """Whether everything became ready in time; else `observed.trouble` says why not."""
        end, told, proxy = self.clock() + seconds, 0.0, None
        try:
            while True:
                if (proxy is None or proxy.process.returncode is not None) and self._can_ask():
                    proxy = await self._proxy()
                waits = await self.look()
                if not waits:
                    return True
                if trouble := self._hopeless(waits) or (f"after {seconds:g} s" if self.clock() > end else ""):
                    self.observed.trouble = f"{trouble}; awaited: {', '.join(waits)}"
                    return False
                if self.clock() - told > _QUIET:
                    told = self.clock()
                    self.say(f"awaited: {', '.join(waits[:4])}" + (f" and {len(waits) - 4} more" if waits[4:] else ""))
                await asyncio.sleep(_EVERY)
        finally:
            if proxy is not None:
                await proxy.stop(0.0)

    async def look(self) -> tuple[str, ...]:
        """One look at the cluster -> what is still awaited."""
        found = chart_names(self.layout.version(self.index.runtime.key).charts)
        if found is None:
            return ("the runtime image's content",)
        charts = [name for name in found if name not in self.chosen.charts]
        self.observed.take(await look(SocketApi(self.machine.outside(API_SOCKET))))
        return awaited(self.observed.cluster, since=self.since, charts=charts, nodes=self.nodes)

    @contextlib.asynccontextmanager
    async def api(self) -> Any:
        """The apiserver answers to `look` for the block."""
        proxy = await self._proxy()
        try:
            yield
        finally:
            await proxy.stop(0.0)

    def _can_ask(self) -> bool:
        return self.machine.outside(PATHS.admin_kubeconfig).exists() and (self.layout.data / "bin").is_symlink()

    async def _proxy(self) -> Child:
        self.machine.outside(API_SOCKET).unlink(missing_ok=True)
        child = await self.hands.start_kubectl("proxy", "proxy", f"--unix-socket={API_SOCKET}")
        for _ in range(50):
            if self.machine.outside(API_SOCKET).exists():
                break
            await asyncio.sleep(0.1)
        return child

    def _hopeless(self, waits: tuple[str, ...]) -> str:
        """Why waiting makes no sense any more."""
        if self.server.process.returncode is not None:
            return f"sealift-node server ended: {self._last_words()}"
        if trouble := self.lost():
            return trouble
        # Not before the kubelet has tried: a pull that wanted out belongs into the report.
        if missing_now(self.index, self.observed.seen) and pull_failed(self.observed.cluster):
            return "an image is missing"
        if failed := failed_jobs(self.observed.cluster):
            return f"failed: {', '.join(failed)}"
        return ""

    def _last_words(self) -> str:
        with contextlib.suppress(SealiftError):
            journal = read_journal(self.layout)
            if journal is not None and journal.stop:
                return journal.stop
        return log_tail(self.machine.home / "server.log")


def host_layout(home: Path) -> NodeLayout:
    """The data directory of the machine with the folder `home`, as the host reaches it."""
    return NodeLayout.at(home / "rancher" / DEFAULT_DATA_DIR.name)


def write_config(machine_home: Path, values: Mapping[str, str]) -> None:
    """The node's configuration, which the machine sees at CONFIG."""
    path = machine_home / "etc-rancher" / "rke2" / "config.yaml"
    with os_errors(path):
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_text("".join(f"{key}: {value}\n" for key, value in values.items()))


async def start_server(machine: Machine) -> Child:
    """Starts `sealift-node server` in the machine; what it says stands in server.log of its folder."""
    argv = [sys.executable, "-P", "-c", _SERVER, "server", "--data-dir", str(DEFAULT_DATA_DIR), "--config", str(CONFIG)]
    return await machine.start(argv, log=machine.home / "server.log", env={"PATH": machine.env["PATH"]})


def chart_names(folder: Path) -> tuple[str, ...] | None:
    """The HelmCharts in a runtime image's charts folder, by name; None while there is no such folder."""
    if not folder.is_dir():
        return None
    return tuple(name for path in sorted(folder.glob("*.yaml")) for name in _charts_in(path))


def _charts_in(path: Path) -> Iterator[str]:
    with os_errors(path):
        text = path.read_bytes()
    for document in yamlread.documents(text, path, yaml.CBaseLoader):
        if isinstance(document, dict) and document.get("kind") == "HelmChart":
            metadata = document.get("metadata")
            yield str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def now() -> datetime:
    """The wall clock; the apiserver's times are whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)
