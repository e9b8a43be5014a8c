"""`sealift-node prove`: stage, boot without a way out, check, look what was used, take everything down, report."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.files import os_errors
from bundles.platform import Platform
from bundles.talk import Progress
from bundles.trust import Trust
from runtime.daemon.journal import read_journal
from runtime.offer import Offer, read_offer
from runtime.process import call
from runtime.prove.boot import Booting, host_layout, now, start_server, write_config
from runtime.prove.cgroups import Group, hierarchies
from runtime.prove.checks import Scene, run_checks
from runtime.prove.findings import Findings, make_report
from runtime.prove.footprint import Footprint, differences, look, still_there
from runtime.prove.images import NODE, SANDBOXES, listed, missing_now, normal, usage
from runtime.prove.isolation import Watch, control, pod_control
from runtime.prove.ledger import Ledger, open_ledger
from runtime.prove.logs import keep_logs
from runtime.prove.mounts import PRIVATE
from runtime.prove.namespaces import Machine, Switch, start_machine, start_switch
from runtime.prove.network import Port
from runtime.prove.report import CheckResult, Report
from runtime.prove.requirements import clean_environment, refuse_unable
from runtime.stage import stage

NODE_NAME: Final = "prove1"
WORK: Final = Path("/var/tmp")
PATIENCE: Final = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Proving:
    """What a proof is given.

    Args:
        bundle: folder or `.sealift` file.
        trust: from the trust flags.
        platform: this machine's.
        now: seconds since the epoch.
        work: a folder on a disk filesystem with room for the bundle and what it unpacks to.
        logs: a folder that takes the machine's logs; None: they go with it.
        patience: seconds until everything must be ready.
        environment: of this process.
        clock: seconds that never go back.
        progress: told of bytes checked.
        say: takes one line of talk at a time.
    """

    bundle: Path
    trust: Trust
    platform: Platform
    now: int
    work: Path
    logs: Path | None
    patience: float
    environment: Mapping[str, str]
    clock: Callable[[], float]
    progress: Progress
    say: Callable[[str], None]


def prove(given: Proving) -> Report:
    """Proves a bundle -> its report, good or not (`Report.faults`).

    Raises TrustError before anything of the bundle is parsed; SealiftError when no proof can be made here: no root,
    programs missing, a bundle that is damaged.
    """
    offer = read_offer(given.bundle, given.trust)
    env = clean_environment(given.environment)
    refuse_unable(env["PATH"])
    found = hierarchies(Path("/proc/self/mountinfo").read_text())
    before = asyncio.run(_footprint(env))
    findings = Findings(NODE_NAME)
    with _ending_well(), open_ledger(found, given.say) as ledger:
        work = given.work.absolute() / f"sealift-prove-{secrets.token_hex(4)}"
        group = Group(work.name, found)
        try:
            ledger.will_make(work=work, group=group.name)
            home = _lay_out(work, ledger)
            _stage(given, home)
            group.make()
            try:
                asyncio.run(_attempt(given, offer, group, home, env, findings))
            finally:
                if given.logs is not None:
                    keep_logs(home, given.logs)
        finally:
            ledger.take_back(found)
        after = asyncio.run(_footprint(env))
        left = (
            *ledger.left(found),
            *still_there(findings.namespaces, (work.name,)),
            *differences(before, after),
        )
    for line in left:
        given.say(f"LEFT: {line}")
    return make_report(offer, findings, left)


@contextlib.contextmanager
def _ending_well() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does: with everything taken down."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, before)


async def _footprint(env: Mapping[str, str]) -> Footprint:
    rules = await call(["nft", "-s", "list", "ruleset"], env=env, check=False)
    return look(rules.text)


def _lay_out(work: Path, ledger: Ledger) -> Path:
    home = work / NODE_NAME
    with os_errors(work):
        work.mkdir(mode=0o700)
        home.mkdir(mode=0o755)
    ledger.make_mount_points(PRIVATE)
    return home


def _stage(given: Proving, home: Path) -> None:
    layout = host_layout(home)
    with os_errors(layout.data):
        layout.data.mkdir(mode=0o755, parents=True)
    stage(
        given.bundle,
        layout,
        given.trust,
        platform=given.platform,
        now=given.now,
        progress=given.progress,
        say=given.say,
    )


async def _attempt(
    given: Proving, offer: Offer, group: Group, home: Path, env: Mapping[str, str], findings: Findings
) -> None:
    """One boot from nothing to the end of its machine; what is found is put into `findings` at once."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # as asyncio.run does for SIGINT
    ipv6 = Path("/proc/sys/net/ipv6").is_dir()
    async with _machines(group, home, env, ipv6, findings) as (switch, machine):
        watch = Watch(switch)
        await watch.reset()
        findings.control = await control(watch, machine, ipv6=ipv6)
        await watch.reset()
        write_config(home, {"node-name": NODE_NAME, "node-ip": machine.port.address})
        booting = Booting(
            machine=machine,
            switch=switch,
            index=offer.index,
            since=now(),
            server=await start_server(machine),
            clock=given.clock,
            say=given.say,
            observed=findings.observed,
        )
        findings.ready = await booting.until_ready(given.patience)
        if findings.ready:
            given.say(f"ready: {len(booting.observed.cluster.pods)} pods")
            findings.checks = await run_checks(_scene(booting), given.clock, given.say)
            async with booting.api():
                await booting.look()
        else:
            given.say(f"NOT READY: {findings.observed.trouble}")
        findings.outside = await watch.read()
        if findings.ready:
            findings.control = findings.control and await pod_control(watch, booting.hands)
        for line in findings.outside.wanted:
            given.say(f"WANTED OUT: {line}")
        await _settle(booting, findings)
        findings.control = findings.control and await control(watch, machine, ipv6=ipv6)


@contextlib.asynccontextmanager
async def _machines(
    group: Group, home: Path, env: Mapping[str, str], ipv6: bool, findings: Findings
) -> AsyncIterator[tuple[Switch, Machine]]:
    switch = await start_switch(home / "switch.log", env, ipv6=ipv6)
    try:
        machine = await start_machine(switch, group, name=NODE_NAME, port=Port(1), home=home, env=env, ipv6=ipv6)
        findings.namespaces = machine.namespaces.identities() | switch.namespaces.identities()
        try:
            yield switch, machine
        finally:
            await machine.stop()
    finally:
        await switch.child.stop(0.0)


def _scene(booting: Booting) -> Scene:
    pods = booting.observed.cluster.pods
    apiserver = [pod for pod in pods if pod.metadata.name == f"kube-apiserver-{NODE_NAME}"]
    if not apiserver:
        raise SealiftError("everything is ready, but there is no pod of kube-apiserver")
    return Scene(
        hands=booting.hands, image=apiserver[0].images[0], node=NODE_NAME, address=booting.machine.port.address
    )


async def _settle(booting: Booting, findings: Findings) -> None:
    """Who used which image, and how far each stage came."""
    seen, index = booting.observed.seen, booting.index
    seen.ask(index.runtime.reference, NODE)
    held = await _held(booting)
    findings.used = usage(index, seen, held)
    for line in findings.used.strange:
        booting.say(f"FAILED: images: {line}")
    well = not findings.used.strange and not missing_now(index, seen)
    findings.checks = (*findings.checks, CheckResult(name="images", ok=well, seconds=0.0))
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
