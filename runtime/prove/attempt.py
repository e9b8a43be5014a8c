"""One boot from nothing to the end of its machine: what is found is put into `Findings` at once."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.index import BundleIndex
from runtime.choices import Chosen
from runtime.daemon.journal import read_journal
from runtime.prove.across import ACROSS, node_loss
from runtime.prove.agents import Joining, join, trouble_of
from runtime.prove.boot import Booting, now, start_server, write_config
from runtime.prove.checks import CHECKS, Scene, run_checks
from runtime.prove.findings import Findings, Phase, ready_seconds
from runtime.prove.images import NODE, SANDBOXES, listed, missing_now, normal, usage
from runtime.prove.ingress import ingress_checks
from runtime.prove.isolation import Watch, control, pod_control
from runtime.prove.namespaces import Switch, start_switch
from runtime.prove.places import Place, Plugged, node_name, plugged_in
from runtime.prove.report import CheckResult, NodeResult
from runtime.prove.servers import LEAST, Loss, quorum

NODE_NAME: Final = node_name(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A bundle that is staged for each machine, and what they get.

    Args:
        index: of the bundle.
        places: the machines: the first is the server that the others join.
        env: of every program in it.
        patience: seconds until everything must be ready.
        clock: seconds that never go back.
        say: takes one line of talk at a time.
        chosen: what runs of the bundle.
        choices: settings of each server that choose it.
    """

    index: BundleIndex
    places: tuple[Place, ...]
    env: Mapping[str, str]
    patience: float
    clock: Callable[[], float]
    say: Callable[[str], None]
    chosen: Chosen
    choices: Mapping[str, str]

    @property
    def home(self) -> Path:
        """The first machine's folder."""
        return self.places[0].home


async def boot_once(given: Attempt, findings: Findings) -> None:
    """Boots, waits, checks, looks what was used, and takes the machine down.

    Raises SealiftError when that cannot go on; a node that does not become ready is a finding.
    """
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # as asyncio.run does for SIGINT
    findings.phase = Phase.MACHINE
    ipv6 = Path("/proc/sys/net/ipv6").is_dir()
    async with _machines(given, ipv6, findings) as (switch, machines):
        first = machines[0]
        watch = Watch(switch)
        await watch.reset()
        findings.control = await control(watch, first.machine, ipv6=ipv6)
        await watch.reset()
        findings.phase = Phase.BOOT
        booting, further = await _start(given, machines, switch, findings)
        findings.ready = await booting.until_ready(given.patience)
        findings.further = tuple(_as_result(one) for one in further)
        if findings.ready:
            findings.phase = Phase.CHECKS
            await _check(booting, findings, machines)
        else:
            findings.failed(Phase.BOOT, findings.observed.trouble)
            given.say(f"NOT READY: {findings.observed.trouble}")
        findings.outside = await watch.read()
        if findings.ready:
            findings.control = findings.control and await pod_control(watch, booting.hands)
        for line in findings.outside.wanted:
            given.say(f"WANTED OUT: {line}")
        await _settle(booting, findings)
        findings.control = findings.control and await control(watch, first.machine, ipv6=ipv6)
        if findings.ready:  # the last things: nothing is as it was after them
            await _lose_server(booting, findings, machines)
            await _lose_agent(replace(booting, machine=first.machine), findings, machines)


async def _lose_server(booting: Booting, findings: Findings, machines: Sequence[Plugged]) -> None:
    """The others carry on; with two servers they could not."""
    servers = _servers(machines)
    if len(servers) < LEAST:
        return
    loss = Loss(servers, log=servers[0].place.home / "written.log", clock=booting.clock)
    left = await loss.survivors()
    scene = _scene(replace(booting, machine=left[0].machine))
    findings.checks += await run_checks(scene, booting.clock, booting.say, loss.checks())
    findings.server_loss = loss.result()
    for server in servers:  # the one that came back has new namespaces
        findings.held.add(server.machine.first)


async def _lose_agent(booting: Booting, findings: Findings, machines: Sequence[Plugged]) -> None:
    last = machines[-1]
    if last.place.role == "agent":
        check = node_loss(last.place.name, last.die)
        findings.checks += await run_checks(_scene(booting), booting.clock, booting.say, (check,))


async def _start(
    given: Attempt, machines: Sequence[Plugged], switch: Switch, findings: Findings
) -> tuple[Booting, tuple[Joining, ...]]:
    first, *others = machines
    write_config(given.home, {"node-name": NODE_NAME, "node-ip": first.place.port.address, **given.choices})
    since, server = now(), await start_server(first.machine)
    further = await join(others, first.place, given.choices) if others else ()
    booting = Booting(
        machine=first.machine,
        switch=switch,
        index=given.index,
        since=since,
        server=server,
        clock=given.clock,
        say=given.say,
        observed=findings.observed,
        nodes=tuple(place.name for place in given.places),
        chosen=given.chosen,
        lost=trouble_of(further),
    )
    return booting, further


def _servers(machines: Sequence[Plugged]) -> tuple[Plugged, ...]:
    return tuple(machine for machine in machines if machine.place.role == "server")


def _as_result(one: Joining) -> NodeResult:
    return NodeResult(name=one.place.name, role=one.place.role, ready_seconds=ready_seconds(one.journal()))


async def _check(booting: Booting, findings: Findings, machines: Sequence[Plugged]) -> None:
    booting.say(f"ready: {len(booting.observed.cluster.nodes)} nodes, {len(booting.observed.cluster.pods)} pods")
    servers = _servers(machines)
    checks = [
        *CHECKS,
        *ingress_checks(booting.chosen),
        *(ACROSS if len(machines) > 1 else ()),
        *([quorum(servers)] if len(servers) > 1 else ()),
    ]
    findings.checks = await run_checks(_scene(booting), booting.clock, booting.say, checks)
    async with booting.api():
        await booting.look()


@contextlib.asynccontextmanager
async def _machines(
    given: Attempt, ipv6: bool, findings: Findings
) -> AsyncIterator[tuple[Switch, tuple[Plugged, ...]]]:
    switch = await start_switch(given.home / "switch.log", given.env, ipv6=ipv6)
    try:
        async with plugged_in(switch, given.places, given.env, ipv6=ipv6) as machines:
            for plugged in machines:
                findings.held.add(plugged.machine.first)
            yield switch, machines
    finally:
        await switch.child.stop(0.0)


def _scene(booting: Booting) -> Scene:
    pods = booting.observed.cluster.pods
    apiserver = [pod for pod in pods if pod.metadata.name == f"kube-apiserver-{NODE_NAME}"]
    if not apiserver:
        raise SealiftError("everything is ready, but there is no pod of kube-apiserver")
    return Scene(
        hands=booting.hands,
        image=apiserver[0].images[0],
        node=NODE_NAME,
        address=booting.machine.port.address,
        nodes=booting.nodes,
    )


async def _settle(booting: Booting, findings: Findings) -> None:
    """Who used which image, and how far each stage came."""
    seen, index = booting.observed.seen, booting.index
    seen.ask(index.runtime.reference, NODE)
    held = await _held(booting)
    findings.used = usage(index, seen, held, without=booting.chosen.archives)
    for line in findings.used.strange:
        booting.say(f"FAILED: images: {line}")
    well = not findings.used.strange and not missing_now(index, seen)
    words = "\n".join(findings.used.strange)
    findings.checks = (*findings.checks, CheckResult(name="images", ok=well, seconds=0.0, error=words))
    with contextlib.suppress(SealiftError):
        findings.journal = read_journal(booting.layout)


async def _held(booting: Booting) -> dict[str, Digest]:
    """What containerd holds, and which image its sandboxes run; empty when it cannot be asked any more."""
    try:
        held = listed(await booting.hands.ctr("images", "list"))
        containers = await booting.hands.ctr("containers", "list")
    except SealiftError:
        return {}
    seen = booting.observed.seen
    for line in containers.splitlines()[1:]:
        image = normal(line.split()[1])
        if image in held and image not in seen.users:
            seen.ask(image, SANDBOXES)
    return held
