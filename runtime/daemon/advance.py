"""The decision of the daemon: state and event -> state and actions. Pure: no clock, no task, no process.

Events carry the time and, where they come from a stage, the attempt they belong to; what an earlier attempt still says
is ignored. Every order of events must be safe: tests try them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from runtime.daemon.conditions import Conditions
from runtime.daemon.table import Kind, OnFailure, Table


class Phase(Enum):
    """How a stage stands."""

    WAITING = "waiting"  # for what it needs
    RUNNING = "running"  # has not given yet
    UP = "up"  # a service that gave and runs
    PAUSED = "paused"  # failed; will be tried again
    DONE = "done"  # a task that gave
    ENDED = "ended"  # stopped with the node


@dataclass(frozen=True, kw_only=True, slots=True)
class StageState:
    """One stage: `since` is when the phase began, `failures` in a row, `detail` its last words."""

    phase: Phase = Phase.WAITING
    attempt: int = 0
    since: float = 0.0
    failures: int = 0
    restarts: int = 0
    detail: str = ""

    @property
    def runs(self) -> bool:
        """Whether there is something to cancel."""
        return self.phase in (Phase.RUNNING, Phase.UP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Why the node stops; `code` is the exit code."""

    reason: str
    code: int


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """The whole node. `cancelled` are stages that were told to end."""

    stages: Mapping[str, StageState]
    conditions: Conditions = field(default_factory=Conditions)
    stop: Stop | None = None
    cancelled: frozenset[str] = frozenset()
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """The daemon starts."""

    now: float


@dataclass(frozen=True, slots=True)
class Up:
    """A service is up."""

    now: float
    stage: str
    attempt: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A stage says how far it is."""

    now: float
    stage: str
    attempt: int
    detail: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The work of a stage ended: well, with its words, or with an error."""

    now: float
    stage: str
    attempt: int
    reason: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """The pause of a stage is over."""

    now: float
    stage: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody wants the node to stop."""

    now: float
    reason: str


Event = Begin | Up | Told | Ended | Due | StopAsked


@dataclass(frozen=True, slots=True)
class Start:
    """Begin the work of a stage."""

    stage: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the work of a stage; `Ended` follows."""

    stage: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Wake:
    """Say `Due` after so many seconds."""

    stage: str
    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing runs any more: leave, with this exit code."""

    code: int
    reason: str


Action = Start | Cancel | Wake | Finish


def begin(table: Table) -> State:
    """The state before `Begin`."""
    return State(stages=MappingProxyType({stage.name: StageState() for stage in table.stages}))


def advance(table: Table, state: State, event: Event) -> tuple[State, tuple[Action, ...]]:
    """What follows from one event.

    Args:
        table: the stages.
        state: how the node stands.
        event: what happened.

    Returns:
        How it stands now, and what to do, in this order.
    """
    if state.finished:
        return state, ()
    match event:
        case StopAsked(now, reason):
            return _stop(table, state, now, Stop(reason=reason, code=0))
        case Begin(now):
            return _start_what_can(table, state, now)
        case _ if event.attempt != state.stages[event.stage].attempt:
            return state, ()
        case Told(stage=name, detail=detail):
            return _put(state, name, replace(state.stages[name], detail=detail)), ()
        case Up():
            return _up(table, state, event)
        case Ended():
            return _ended(table, state, event)
        case Due(now, name):
            if state.stages[name].phase is not Phase.PAUSED or state.stop is not None:
                return state, ()
            return _started(state, name, now)


def _put(state: State, name: str, stage: StageState) -> State:
    return replace(state, stages=MappingProxyType({**state.stages, name: stage}))


def _started(state: State, name: str, now: float) -> tuple[State, tuple[Action, ...]]:
    before = state.stages[name]
    after = replace(
        before,
        phase=Phase.RUNNING,
        attempt=before.attempt + 1,
        since=now,
        restarts=before.restarts + (before.attempt > 0),
    )
    return _put(state, name, after), (Start(name, after.attempt),)


def _start_what_can(table: Table, state: State, now: float) -> tuple[State, tuple[Action, ...]]:
    actions: tuple[Action, ...] = ()
    if state.stop is None:
        for stage in table.stages:
            if state.stages[stage.name].phase is Phase.WAITING and state.conditions.have(stage.needs):
                state, started = _started(state, stage.name, now)
                actions += started
    return state, actions


def _up(table: Table, state: State, event: Up) -> tuple[State, tuple[Action, ...]]:
    before = state.stages[event.stage]
    if before.phase is not Phase.RUNNING or table[event.stage].kind is not Kind.SERVICE:
        return state, ()
    after = replace(before, phase=Phase.UP, since=event.now, detail=event.reason)
    state = _put(state, event.stage, after)
    state = replace(state, conditions=state.conditions.latch(event.stage, event.now, event.reason))
    return _start_what_can(table, state, event.now)


def _ended(table: Table, state: State, event: Ended) -> tuple[State, tuple[Action, ...]]:
    before, row = state.stages[event.stage], table[event.stage]
    if not before.runs:
        return state, ()
    if row.kind is Kind.TASK and event.error is None:
        done = replace(before, phase=Phase.DONE, since=event.now, failures=0, detail=event.reason)
        state = _put(state, event.stage, done)
        state = replace(state, conditions=state.conditions.latch(event.stage, event.now, event.reason))
        return _start_what_can(table, state, event.now) if state.stop is None else _stop_more(table, state, event.now)
    words = event.error or event.reason or "ended"
    if state.stop is not None:
        ended = replace(before, phase=Phase.ENDED, since=event.now, detail=words)
        return _stop_more(table, _put(state, event.stage, ended), event.now)
    if row.failure is OnFailure.STOP:
        ended = replace(before, phase=Phase.ENDED, since=event.now, failures=before.failures + 1, detail=words)
        reason = f"{event.stage}: {words}"
        return _stop(table, _put(state, event.stage, ended), event.now, Stop(reason=reason, code=1))
    steady = before.phase is Phase.UP and event.now - before.since >= row.pause.steady
    failures = 1 if steady else before.failures + 1
    paused = replace(before, phase=Phase.PAUSED, since=event.now, failures=failures, detail=words)
    return _put(state, event.stage, paused), (Wake(event.stage, before.attempt, row.pause.after(failures)),)


def _stop(table: Table, state: State, now: float, stop: Stop) -> tuple[State, tuple[Action, ...]]:
    """The first reason stays; asking twice changes nothing."""
    if state.stop is not None:
        return state, ()
    stages = {
        name: replace(stage, phase=Phase.ENDED, since=now) if stage.phase in (Phase.WAITING, Phase.PAUSED) else stage
        for name, stage in state.stages.items()
    }
    return _stop_more(table, replace(state, stages=MappingProxyType(stages), stop=stop), now)


def _stop_more(table: Table, state: State, now: float) -> tuple[State, tuple[Action, ...]]:
    """Cancels what nothing that runs leans on: the kubelet before containerd. Finishes when nothing runs."""
    assert state.stop is not None
    running = {name for name, stage in state.stages.items() if stage.runs}
    if not running:
        return replace(state, finished=True), (Finish(state.stop.code, state.stop.reason),)
    free = [
        name
        for name in reversed(table.names)
        if name in running and name not in state.cancelled and not running & table.lean_on(name)
    ]
    actions = tuple(Cancel(name, state.stages[name].attempt) for name in free)
    return replace(state, cancelled=state.cancelled | set(free)), actions
