"""Join of one agent, from the start of its process to a Ready Node, against a second node made by hand."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.handmade.settings import Settings
from bench.model import Figure
from bench.node import NODE, Place, machine, neighbour, only_one
from bench.timing import Bench, BenchError
from bundles import index
from runtime.daemon.journal import read_journal
from runtime.layout import DEFAULT_DATA_DIR
from runtime.prove.boot import CONFIG, Booting, start_server, write_config
from runtime.prove.ledger import Ledger

PATIENCE = 300.0  # seconds
AUTHORITIES = ("client-ca.crt", "client-ca.key", "server-ca.crt", "server-ca.key")
NOTE = (
    "from the start of the process to a Ready Node that joins a settled cluster of one server of ours; both have the "
    "bundle staged, nothing unpacked or imported, and no keys; fresh machines in turns; the hand-made one checks no "
    "bytes, and signs its keys with authorities that were carried over"
)


def measure(bench: Bench) -> Iterable[Figure]:
    """One server for all turns; each agent is gone, and its Node deleted, before the next one begins."""
    with only_one(bench) as ledger:
        return [asyncio.run(_measure(bench, ledger))]


async def _measure(bench: Bench, ledger: Ledger) -> Figure:
    ours: list[float] = []
    theirs: list[float] = []
    async with machine(bench, ledger) as server:
        await _serve(bench, server)
        for turn in range(bench.runs):
            for by_hand in (True, False) if turn % 2 else (False, True):
                number, name = len(ours) + len(theirs) + 2, f"{'hand' if by_hand else 'agent'}{turn + 1}"
                async with _joining(bench, ledger, server, number, name) as place:
                    seconds = await (_by_hand(bench, server, place) if by_hand else _agent(server, place))
                    (theirs if by_hand else ours).append(seconds)
    return Figure(
        what="join of an agent, start to node Ready, against a second node by hand",
        value=min(ours) / min(theirs),
        unit="x",
        reach="<=",
        bound=1.1,
        ours=f"{min(ours):.2f} s",
        theirs=f"{min(theirs):.2f} s",
        note=f"{NOTE}; all runs: ours {_list(ours)}, by hand {_list(theirs)} s",
    )


async def _serve(bench: Bench, place: Place) -> None:
    """The server, until every chart is installed and every pod Ready."""
    write_config(place.machine.home, {"node-name": NODE, "node-ip": place.machine.port.address})
    since, child = datetime.now(UTC).replace(microsecond=0), await start_server(place.machine)
    booting = Booting(
        machine=place.machine,
        switch=place.switch,
        server=child,
        index=index.decode((bench.bundle / index.INDEX_NAME).read_bytes()),
        since=since,
        clock=time.monotonic,
        say=lambda line: print(f"  {line}", file=sys.stderr, flush=True),
    )
    if not await booting.until_ready(PATIENCE):
        raise BenchError(booting.observed.trouble)


@contextlib.asynccontextmanager
async def _joining(bench: Bench, ledger: Ledger, server: Place, number: int, name: str) -> AsyncIterator[Place]:
    """A machine with a name and an address that no other one had; gone afterwards, from the cluster too."""
    async with neighbour(bench, ledger, server.switch, number, name) as place:
        yield place
    await _kubectl(server, "delete", "node", name)
    for _ in range(int(PATIENCE)):
        if not await _kubectl(server, "get", "pods", "-A", "-o", "name", f"--field-selector=spec.nodeName={name}"):
            return
        await asyncio.sleep(1.0)
    raise BenchError(f"pods of {name} stay")


async def _kubectl(server: Place, *words: str) -> str:
    argv = [str(DEFAULT_DATA_DIR / "bin/kubectl"), "--kubeconfig=/etc/rancher/rke2/rke2.yaml", *words]
    return (await server.machine.call(argv, timeout=60.0)).text.strip()


async def _agent(server: Place, place: Place) -> float:
    """Ours -> seconds."""
    home, name = place.machine.home, place.machine.name
    url = f"https://{server.machine.port.address}:9345"
    token = (server.layout.server / "node-token").read_text().strip()
    write_config(home, {"node-name": name, "node-ip": place.machine.port.address, "server": url, "token": token})
    words = ["agent", "--data-dir", str(DEFAULT_DATA_DIR), "--config", str(CONFIG)]
    argv = [sys.executable, "-P", "-c", "from runtime.cli import main; main()", *words]
    began = time.time()
    child = await place.machine.start(argv, log=home / "agent.log", env={"PATH": place.machine.env["PATH"]})
    while time.time() - began < PATIENCE and child.process.returncode is None:
        journal = read_journal(place.layout)
        line = (
            {stage.name: stage.reached / 1000 - began for stage in journal.stages if stage.reached} if journal else {}
        )
        if "ready" in line:
            return _told("sealift-node agent", line)
        await asyncio.sleep(0.05)
    raise BenchError((home / "agent.log").read_text()[-4000:])


async def _by_hand(bench: Bench, server: Place, place: Place) -> float:
    """The hand-made one -> seconds."""
    home, settings = place.machine.home, _settings(bench, place)
    for name in AUTHORITIES:  # what an administrator carries over before
        target = place.layout.server / "tls" / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.write_bytes((server.layout.server / "tls" / name).read_bytes())
    place.outside("/var/log/settings.json").write_text(json.dumps(asdict(settings)))
    api = f"https://{server.machine.port.address}:6443"
    argv = [sys.executable, "-P", "-m", "bench.handmade.second", "/var/log/settings.json", api]
    began, result = time.time(), place.outside(settings.result)
    child = await place.machine.start(argv, log=home / "by-hand.log", env={"PATH": place.machine.env["PATH"]})
    while not result.exists():
        if child.process.returncode is not None or time.time() - began > PATIENCE:
            raise BenchError((home / "by-hand.log").read_text()[-4000:])
        await asyncio.sleep(0.05)
    return _told("by hand", {name: at - began for name, at in json.loads(result.read_text()).items()})


def _settings(bench: Bench, place: Place) -> Settings:
    document = index.decode((bench.bundle / index.INDEX_NAME).read_bytes())
    folder = DEFAULT_DATA_DIR / "agent/images"
    runtime = next(image.archive for image in document.images if image.reference == document.runtime.reference)
    roles = {
        role: image.reference
        for role in ("kubernetes", "pause")
        for image in document.images
        if f"-{role}:" in image.reference.rpartition("/")[2]
    }
    return Settings(
        node=place.machine.name,
        address=place.machine.port.address,
        runtime=str(folder / Path(runtime).name),
        archives=[str(folder / Path(one.path).name) for one in document.archives if one.path != runtime],
        images=roles,
        result="/var/log/by-hand.json",
    )


def _told(who: str, line: dict[str, float]) -> float:
    steps = ", ".join(f"{name} {at:.1f}" for name, at in sorted(line.items(), key=lambda step: step[1]))
    print(f"  {who}: {line['ready']:.2f} s ({steps})", file=sys.stderr, flush=True)
    return line["ready"]


def _list(seconds: Iterable[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in seconds)
