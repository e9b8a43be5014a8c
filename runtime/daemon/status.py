"""How the node stands: the daemon's own words, and whether it is alive. Reads files only."""

from dataclasses import dataclass
from typing import Any, Final

from runtime import admitted
from runtime.daemon.advance import Phase
from runtime.daemon.journal import Journal, holder, read_journal
from runtime.health import tell
from runtime.health.gather import look
from runtime.health.values import Health
from runtime.layout import NodeLayout

_MARKS: Final = {
    Phase.WAITING.value: "·",
    Phase.RUNNING.value: "…",
    Phase.UP.value: "●",
    Phase.PAUSED.value: "!",
    Phase.DONE.value: "✓",
    Phase.ENDED.value: "○",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """`pid` of the daemon that runs, 0 while its number is not known yet, None when none does.

    `journal`: its words, None while it has not said any; when none runs, the last run's.
    """

    data: str
    pid: int | None
    bundle: str
    journal: Journal | None

    @property
    def ready(self) -> bool:
        """Whether the node was Ready by this run, and the daemon is alive and not stopping."""
        journal = self.journal
        if self.pid is None or journal is None or journal.stop:
            return False
        return any(stage.name == "ready" and stage.reached is not None for stage in journal.stages)


def read_status(layout: NodeLayout) -> Status:
    """Looks; raises FormatError for files of another version."""
    record = admitted.read(layout.admitted)
    pid, journal = holder(layout), read_journal(layout)
    if pid is not None and journal is not None and journal.pid != pid:
        journal = None  # of the run before, which may have been ready
    return Status(data=str(layout.data), pid=pid, bundle=record.bundle if record else "", journal=journal)


async def look_around(layout: NodeLayout, status: Status, now: int) -> Health:
    """The cluster as this node sees it, and what has to be looked at; nobody is asked while no daemon runs."""
    journal = status.journal
    return await look(
        layout,
        now=now,
        node=journal.node if journal else "",
        server=journal is not None and journal.role == "server",
        ask_cluster=status.pid is not None and journal is not None,
    )


def as_document(status: Status, health: Health | None = None) -> dict[str, Any]:
    """For machines; times are seconds of Unix time."""
    journal = status.journal
    document: dict[str, Any] = {
        "data": status.data,
        "running": status.pid is not None,
        "pid": status.pid,
        "ready": status.ready,
        "bundle": status.bundle,
        "stages": [],
        "problems": {},
        "choices": {},
        **(tell.document(health) if health else {}),
    }
    if journal is None:
        return document
    stages = [
        {
            "name": stage.name,
            "phase": stage.phase,
            "needs": stage.needs,
            "since": stage.since / 1000,
            "reached": stage.reached / 1000 if stage.reached is not None else None,
            "seconds": (stage.reached - journal.began) / 1000 if stage.reached is not None else None,
            "restarts": stage.restarts,
            "detail": stage.detail,
        }
        for stage in journal.stages
    ]
    return document | {
        "node": journal.node,
        "role": journal.role,
        "began": journal.began / 1000,
        "started_from": journal.bundle,
        "stop": journal.stop,
        "stages": stages,
        "problems": journal.problems,
        "choices": journal.choices,
    }


def as_tree(status: Status, health: Health | None = None) -> list[str]:
    """For people: the cluster, what has to be looked at, and each stage below the last of those it needs."""
    journal = status.journal
    alive = f"process {status.pid or 'unknown'}" if status.pid is not None else "no daemon runs"
    lines = [f"{status.data}: {alive}", f"bundle: {status.bundle or 'none admitted'}"]
    if journal is None:
        return [*lines, "this node never ran" if status.pid is None else "the daemon begins"]
    if journal.bundle != status.bundle:
        lines.append(f"warning: the daemon was started from {journal.bundle or 'no bundle'}: restart it")
    lines.append(f"{journal.role} {journal.node}" + (": ready" if status.ready else ""))
    if journal.choices:
        lines.append("; ".join(f"{key}: {chosen}" for key, chosen in journal.choices.items()))
    if journal.stop:
        lines.append(f"stop: {journal.stop.splitlines()[0]}")
    lines += [f"not imported: {name}: {why}" for name, why in sorted(journal.problems.items())]
    return [*lines, *(tell.lines(health) if health else ()), *_branches(journal, "", 0)]


def _branches(journal: Journal, above: str, depth: int) -> list[str]:
    order = {stage.name: number for number, stage in enumerate(journal.stages)}
    lines = []
    for stage in journal.stages:
        parent = max(stage.needs, key=order.__getitem__, default="")
        if parent != above:
            continue
        when = f"{(stage.reached - journal.began) / 1000:7.2f} s" if stage.reached is not None else f"{stage.phase:>9}"
        words = [f"{'  ' * depth}{_MARKS.get(stage.phase, '?')} {stage.name}".ljust(36), when]
        if stage.restarts:
            words.append(f"restarted {stage.restarts}x")
        if stage.detail:
            words.append(stage.detail.splitlines()[0])
        lines.append("  ".join(words))
        lines += _branches(journal, stage.name, depth + 1)
    return lines
