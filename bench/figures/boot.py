"""Boot: `sealift-node server` against a node booted by hand, its restart, and what the daemon costs afterwards."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.handmade.settings import Settings
from bench.model import Figure
from bench.node import NODE, Place, machine, only_one
from bench.timing import Bench, BenchError
from bundles import index
from bundles.index import BundleIndex
from runtime.daemon.journal import Journal, read_journal
from runtime.layout import DEFAULT_DATA_DIR
from runtime.process import Child
from runtime.prove.boot import Booting, start_server, write_config
from runtime.prove.ledger import Ledger

PATIENCE = 300.0  # seconds
IDLE = 60.0  # seconds over which the daemon's CPU time is counted
RESTARTS = 3
NOTE = (
    "from the start of the process to a Ready Node of one server, charts by helm-controller; the bundle is staged, "
    "nothing is unpacked or imported, no keys are made; fresh machines in turns; the hand-made one checks no bytes"
)


def measure(bench: Bench) -> Iterable[Figure]:
    """Boots by turns; the last node of ours stays for the other figures."""
    with only_one(bench) as ledger:
        return asyncio.run(_measure(bench, ledger))


async def _measure(bench: Bench, ledger: Ledger) -> list[Figure]:
    ours: list[Run] = []
    theirs: list[Run] = []
    rest: list[Figure] = []
    for turn in range(bench.runs):
        for by_hand in (True, False) if turn % 2 else (False, True):
            async with machine(bench, ledger) as place:
                if by_hand:
                    theirs.append(await _by_hand(bench, place))
                    continue
                daemon = await _daemon(place)
                seconds = await _until_ready(place, daemon.began, daemon.child)
                ours.append(_run("sealift-node", seconds, _stages(place)))
                if len(ours) == bench.runs:
                    rest = await _afterwards(bench, place, daemon)
    return [_boot_figure(ours, theirs), *rest]


@dataclass(frozen=True, slots=True)
class Run:
    """One boot: seconds until the Node was Ready, and how many of them etcd took to elect itself."""

    seconds: float
    election: float


@dataclass(slots=True)
class Daemon:
    """A running `sealift-node server`: `began` in Unix seconds, just before its process; restarts change `child`."""

    began: float
    child: Child


async def _daemon(place: Place) -> Daemon:
    write_config(place.machine.home, {"node-name": NODE, "node-ip": place.machine.port.address})
    began = time.time()
    return Daemon(began, await start_server(place.machine))


async def _until_ready(place: Place, began: float, child: Child) -> float:
    """Seconds from `began` until the daemon of this run says that the Node is Ready."""
    while time.time() - began < PATIENCE:
        journal = read_journal(place.layout)
        # The journal of the run before stands there until this one has something to say.
        if journal is not None and journal.began / 1000 > began and (reached := _reached(journal, "ready")):
            return reached - began
        if child.process.returncode is not None:
            break
        await asyncio.sleep(0.05)
    raise BenchError((place.machine.home / "server.log").read_text()[-4000:])


def _reached(journal: Journal, name: str) -> float | None:
    return next((stage.reached / 1000 for stage in journal.stages if stage.name == name and stage.reached), None)


def _stages(place: Place) -> dict[str, float]:
    journal = read_journal(place.layout)
    assert journal is not None
    stages = sorted((stage.reached - journal.began, stage.name) for stage in journal.stages if stage.reached)
    return {name: milliseconds / 1000 for milliseconds, name in stages}


async def _by_hand(bench: Bench, place: Place) -> Run:
    """The hand-made boot."""
    layout, home = DEFAULT_DATA_DIR / "agent/images", place.machine.home
    document = index.decode((bench.bundle / index.INDEX_NAME).read_bytes())
    runtime = next(image.archive for image in document.images if image.reference == document.runtime.reference)
    archives = [layout / Path(archive.path).name for archive in document.archives if archive.path != runtime]
    settings = Settings(
        node=NODE,
        address=place.machine.port.address,
        runtime=str(layout / Path(runtime).name),
        archives=[str(path) for path in archives],
        images=_images(document),
        result="/var/log/by-hand.json",
    )
    place.outside("/var/log/settings.json").write_text(json.dumps(asdict(settings)))
    result, began = place.outside(settings.result), time.time()
    argv = [sys.executable, "-P", "-m", "bench.handmade.boot", "/var/log/settings.json"]
    child = await place.machine.start(argv, log=home / "by-hand.log", env={"PATH": place.machine.env["PATH"]})
    while not result.exists():
        if child.process.returncode is not None or time.time() - began > PATIENCE:
            raise BenchError((home / "by-hand.log").read_text()[-4000:])
        await asyncio.sleep(0.05)
    line: dict[str, float] = {name: at - began for name, at in json.loads(result.read_text()).items()}
    return _run("by hand", line["ready"], line)


def _images(document: BundleIndex) -> dict[str, str]:
    roles = ("etcd", "kubernetes", "helm-controller", "klipper-helm", "pause")
    return {
        role: image.reference for role in roles for image in document.images if f"-{role}:" in _last(image.reference)
    }


def _last(reference: str) -> str:
    return f"-{reference.rpartition('/')[2]}"


def _boot_figure(ours: list[Run], theirs: list[Run]) -> Figure:
    mine, hands = (min(run.seconds for run in runs) for runs in (ours, theirs))
    without = [min(run.seconds - run.election for run in runs) for runs in (ours, theirs)]
    return Figure(
        what="start to node Ready, against a boot by hand",
        value=mine / hands,
        unit="x",
        reach="<=",
        bound=1.1,
        ours=f"{mine:.2f} s",
        theirs=f"{hands:.2f} s",
        note=f"{NOTE}; all runs: ours {_list(run.seconds for run in ours)}, "
        f"by hand {_list(run.seconds for run in theirs)} s. With RKE2's timers etcd elects itself after 0.5 to 5 s, by "
        f"chance; fastest without that: ours {without[0]:.2f}, by hand {without[1]:.2f} s",
    )


async def _afterwards(bench: Bench, place: Place, daemon: Daemon) -> list[Figure]:
    """The daemon of a cold boot when everything has settled; then restarts."""
    await _settle(bench, place, daemon)
    journal = read_journal(place.layout)
    assert journal is not None
    before, began, memory = _cpu_seconds(place, journal.pid), time.monotonic(), []
    while time.monotonic() - began < IDLE:
        await asyncio.sleep(IDLE / 12)
        memory.append(_resident(place, journal.pid))
    share = 100 * (_cpu_seconds(place, journal.pid) - before) / (time.monotonic() - began)
    restarts = [await _restart(place, daemon) for _ in range(RESTARTS)]
    return [
        Figure(
            what="restart of the daemon, pods alive, to ready again",
            value=min(restarts),
            unit="s",
            reach="<=",
            bound=3.0,
            ours=f"{min(restarts):.2f} s",
            note=f"from SIGTERM, so with the stop of the old one; all runs: {_list(restarts)} s",
        ),
        Figure(
            what="daemon after boot: CPU",
            value=share,
            unit="%",
            reach="<=",
            bound=1.0,
            ours=f"{share:.2f} % of a core",
            note=f"over {IDLE:.0f} s, the programs it calls included; containerd and the kubelet are none of its own",
        ),
        Figure(
            what="daemon after boot: memory",
            value=max(memory) / 1e6,
            unit="MB",
            reach="<=",
            bound=80.0,
            ours=f"{max(memory) / 1e6:.1f} MB",
            note=f"the largest resident set in the same {IDLE:.0f} s, after a cold boot",
        ),
    ]


async def _settle(bench: Bench, place: Place, daemon: Daemon) -> None:
    """Until every chart is installed and every pod Ready."""
    booting = Booting(
        machine=place.machine,
        switch=place.switch,
        server=daemon.child,
        index=index.decode((bench.bundle / index.INDEX_NAME).read_bytes()),
        since=datetime.fromtimestamp(int(daemon.began), UTC),
        clock=time.monotonic,
        say=lambda line: print(f"  {line}", file=sys.stderr, flush=True),
    )
    if not await booting.until_ready(PATIENCE):
        raise BenchError(booting.observed.trouble)


async def _restart(place: Place, daemon: Daemon) -> float:
    """SIGTERM, start, ready -> seconds for all of it."""
    journal = read_journal(place.layout)
    assert journal is not None
    began = time.time()
    await place.machine.call(["kill", "-TERM", str(journal.pid)])
    await daemon.child.wait()
    daemon.child = await start_server(place.machine)
    seconds = await _until_ready(place, began, daemon.child)
    _tell("restart", seconds, _stages(place))
    return seconds


def _cpu_seconds(place: Place, pid: int) -> float:
    """User and system time of a process and of the children it waited for, proc_pid_stat(5)."""
    fields = place.outside(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _resident(place: Place, pid: int) -> int:
    """Resident set in bytes, proc_pid_statm(5)."""
    return int(place.outside(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _run(who: str, seconds: float, line: dict[str, float]) -> Run:
    _tell(who, seconds, line)
    return Run(seconds, line["etcd"] - line["kubelet"])


def _tell(who: str, seconds: float, line: dict[str, float]) -> None:
    steps = ", ".join(f"{name} {at:.1f}" for name, at in line.items())
    print(f"  {who}: {seconds:.2f} s ({steps})", file=sys.stderr, flush=True)


def _list(seconds: Iterable[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in seconds)
