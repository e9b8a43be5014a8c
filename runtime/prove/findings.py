"""What a proof found so far, and the report made of it. Pure."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import msgspec

from bundles.errors import ProblemsError, SealiftError
from bundles.index import BundleIndex
from runtime.choices import Chosen
from runtime.daemon.chosen import choose_images
from runtime.daemon.journal import Journal
from runtime.nodeconf.parse import Machine, parse
from runtime.nodeconf.settings import from_flags
from runtime.offer import Offer
from runtime.prove.boot import Observed
from runtime.prove.hands import PATHS
from runtime.prove.images import Usage
from runtime.prove.isolation import Outside
from runtime.prove.namespaces import Held
from runtime.prove.objects import Pod
from runtime.prove.probe import NAMESPACE
from runtime.prove.report import (
    Bundle,
    CheckResult,
    Failure,
    MissingResult,
    NodeResult,
    OutsideResult,
    PodResult,
    Report,
    ServerLoss,
    StageResult,
)

_READY = "ready"  # the daemon's stage of that name
_NOTHING = Usage(used=(), unused=(), missing=(), strange=())
_NOBODY = Outside()


class Phase(Enum):
    """How far a proof is."""

    READ = "read"  # who signed the bundle, and its index
    STAGE = "stage"  # every byte of it, copied into the machine
    MACHINE = "machine"  # namespaces, and that what wants out is counted
    BOOT = "boot"  # until everything is ready
    CHECKS = "checks"  # what users do, and what was used
    TEARDOWN = "teardown"


@dataclass(slots=True)
class Findings:
    """Filled in as a proof goes on; everything has a value also when it ends early.

    `failure` is the first thing that went so wrong that the proof could not go on, `error` the same as it was raised.
    """

    node: str
    further: tuple[NodeResult, ...] = ()
    phase: Phase = Phase.READ
    failure: Failure | None = None
    error: SealiftError | None = None
    ready: bool = False
    observed: Observed = field(default_factory=Observed)
    journal: Journal | None = None
    used: Usage = _NOTHING
    outside: Outside = _NOBODY
    control: bool = False
    checks: tuple[CheckResult, ...] = ()
    server_loss: ServerLoss | None = None
    chosen: Chosen = field(default_factory=Chosen)
    held: Held = field(default_factory=Held)

    def failed(self, phase: Phase, words: str) -> None:
        """Notes why the proof cannot go on; the first reason stays."""
        self.failure = self.failure or Failure(during=phase.value, error=words)

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """An error ends the block, and is noted instead of raised: the report tells it."""
        try:
            yield
        except SealiftError as exc:
            self.failed(self.phase, str(exc))
            self.error = self.error or exc


def make_report(bundle: Path, offer: Offer | None, findings: Findings, left: tuple[str, ...]) -> Report:
    """What was to be proved (`offer` None: it could not even be read), findings, what could not be taken down."""
    observed, journal = findings.observed, findings.journal
    missing = findings.used.missing or (missing_roles(offer.index) if offer else ())
    return Report(
        ready=findings.ready,
        bundle=_bundle(bundle, offer),
        nodes=(
            NodeResult(name=findings.node, role="server", ready_seconds=ready_seconds(journal)),
            *findings.further,
        ),
        pods=tuple(_pod(pod) for pod in observed.cluster.pods if pod.metadata.namespace != NAMESPACE),
        images=findings.used.used,
        unused=findings.used.unused,
        missing=missing,
        outside=OutsideResult(
            attempts=findings.outside.attempts + len(observed.pulls),
            packets=findings.outside.packets,
            control=findings.control,
        ),
        checks=(*findings.checks, CheckResult(name="teardown", ok=not left, seconds=0.0, error="\n".join(left))),
        stages=tuple(
            StageResult(name=stage.name, seconds=_reached(journal, stage.name))
            for stage in (journal.stages if journal else ())
        ),
        choices=findings.chosen.settings() if offer else {},
        server_loss=findings.server_loss or msgspec.UNSET,
        failure=findings.failure or msgspec.UNSET,
    )


def _bundle(bundle: Path, offer: Offer | None) -> Bundle:
    if offer is None:
        return Bundle(name=bundle.name, version="", sha256=None)
    return Bundle(name=offer.name, version=offer.index.version, sha256=offer.digest)


def missing_roles(index: BundleIndex) -> tuple[MissingResult, ...]:
    """What the static pods of a server need and the bundle has not: a node does not even begin without it."""
    machine = Machine(hostname="prove", address=None)
    settings = from_flags([("node-ip", "192.0.2.1")])  # RFC 5737: an address is needed, which one does not matter
    config = parse(settings, role="server", paths=PATHS, machine=machine, where="prove").config
    try:
        choose_images(config, index)
    except ProblemsError as exc:
        return tuple(MissingResult(reference=problem.where, used_by=_askers(problem.where)) for problem in exc.problems)
    return ()


def _askers(key: str) -> tuple[str, ...]:
    """`etcd-image` -> who wants it."""
    return (f"sealift-node server ({key})",)


def ready_seconds(journal: Journal | None) -> float | None:
    """Seconds from a daemon's start until its Node was Ready."""
    return _reached(journal, _READY)


def _reached(journal: Journal | None, name: str) -> float | None:
    """Seconds from the daemon's start until a stage was reached."""
    stages: Iterable[float] = (
        round((stage.reached - journal.began) / 1000, 2)
        for stage in (journal.stages if journal else ())
        if journal is not None and stage.name == name and stage.reached is not None
    )
    return next(iter(stages), None)


def _pod(pod: Pod) -> PodResult:
    return PodResult(
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        node=pod.spec.node_name,
        phase=pod.status.phase,
        ready=pod.ready,
        restarts=sum(status.restart_count for status in pod.status.container_statuses),
    )
