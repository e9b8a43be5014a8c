"""`sealift-node prove`: stage, boot without a way out, check, look what was used, take everything down, report."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from bundles.files import os_errors
from bundles.platform import Platform
from bundles.talk import Progress
from bundles.trust import Trust
from runtime.nodeconf.model import Role
from runtime.offer import Offer, read_offer
from runtime.process import call
from runtime.prove.attempt import NODE_NAME, Attempt, boot_once
from runtime.prove.boot import host_layout
from runtime.prove.cgroups import Group, Hierarchy, hierarchies
from runtime.prove.choosing import chosen_by, told
from runtime.prove.findings import Findings, Phase, make_report
from runtime.prove.footprint import Footprint, differences, look, still_there
from runtime.prove.ledger import Ledger, open_ledger
from runtime.prove.logs import keep_logs
from runtime.prove.memory import refuse_small
from runtime.prove.mounts import PRIVATE
from runtime.prove.places import Place, node_name
from runtime.prove.report import Report
from runtime.prove.requirements import clean_environment, refuse_unable
from runtime.stage import stage

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
        servers: how many machines are servers; at least the first.
        agents: how many further ones join as agents.
        one_copy: they get no bundle: they fetch the first one's.
        choices: settings of the servers (`cni`, `ingress-controller`) where it is not the bundle's default.
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
    servers: int
    agents: int
    one_copy: bool
    choices: Mapping[str, str]
    environment: Mapping[str, str]
    clock: Callable[[], float]
    progress: Progress
    say: Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proved:
    """The end of a proof: its report, good or not (`Report.faults`), and the error that ended it early, if one did."""

    report: Report
    error: SealiftError | None


def prove(given: Proving) -> Proved:
    """Proves a bundle; whatever is wrong with it stands in the report.

    Raises SealiftError only when no proof can be made here: no root, programs missing, too little memory.
    """
    env = clean_environment(given.environment)
    refuse_unable(env["PATH"])
    refuse_small(given.servers, given.agents)
    findings = Findings(NODE_NAME)
    offer: Offer | None = None
    left: tuple[str, ...] = ()
    with findings.noting():
        offer = read_offer(given.bundle, given.trust)
        left = ("how it was left is not known",)  # until somebody has looked
        left = _boot_and_leave(given, offer, env, findings)
    findings.held.close()
    for line in left:
        given.say(f"LEFT: {line}")
    return Proved(report=make_report(given.bundle, offer, findings, left), error=findings.error)


def _boot_and_leave(given: Proving, offer: Offer, env: Mapping[str, str], findings: Findings) -> tuple[str, ...]:
    """All that touches the host -> what could not be taken down, in words."""
    found = hierarchies(Path("/proc/self/mountinfo").read_text())
    before = asyncio.run(_footprint(env))
    with _ending_well(), open_ledger(found, given.say) as ledger:
        work = given.work.absolute() / f"sealift-prove-{secrets.token_hex(4)}"
        places = tuple(
            _place(work, number, "server" if number <= given.servers else "agent", found)
            for number in range(1, given.servers + given.agents + 1)
        )
        try:
            ledger.will_make(work=work)
            for place in places:
                ledger.will_make(group=place.group.name)
            with findings.noting():
                _lay_out(work, places, ledger)
                _try(given, offer, places, env, findings)
        finally:
            findings.phase = Phase.TEARDOWN
            ledger.take_back(found)
        after = asyncio.run(_footprint(env))
        return (
            *ledger.left(found),
            *still_there(findings.held.names, tuple(place.group.name for place in places)),
            *differences(before, after),
        )


def _try(given: Proving, offer: Offer, places: tuple[Place, ...], env: Mapping[str, str], findings: Findings) -> None:
    findings.chosen = chosen_by(given.choices, offer.index)
    for line in told(findings.chosen):
        given.say(line)
    findings.phase = Phase.STAGE
    for place in places:
        _stage(given, place.home, empty=given.one_copy and place.number > 1)
        place.group.make()
    attempt = Attempt(
        index=offer.index,
        places=places,
        env=env,
        patience=given.patience,
        clock=given.clock,
        say=given.say,
        chosen=findings.chosen,
        choices=given.choices,
    )
    try:
        asyncio.run(boot_once(attempt, findings))
    finally:
        if given.logs is not None:
            for place in places:
                keep_logs(place.home, given.logs if len(places) == 1 else given.logs / place.name)


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


def _place(work: Path, number: int, role: Role, hierarchies: tuple[Hierarchy, ...]) -> Place:
    name = node_name(number)
    return Place(number=number, role=role, home=work / name, group=Group(f"{work.name}-{name}", hierarchies))


def _lay_out(work: Path, places: tuple[Place, ...], ledger: Ledger) -> None:
    with os_errors(work):
        work.mkdir(mode=0o700)
        for place in places:
            place.home.mkdir(mode=0o755)
    ledger.make_mount_points(PRIVATE)


def _stage(given: Proving, home: Path, *, empty: bool = False) -> None:
    layout = host_layout(home)
    with os_errors(layout.data):
        layout.data.mkdir(mode=0o755, parents=True)
    if empty:
        return
    stage(
        given.bundle,
        layout,
        given.trust,
        platform=given.platform,
        now=given.now,
        progress=given.progress,
        say=given.say,
    )
