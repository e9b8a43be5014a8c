"""Every order of events leaves the node in a sane state: a machine that plays all the programs."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.daemon.advance import (
    Begin,
    Cancel,
    Due,
    Ended,
    Event,
    Finish,
    Phase,
    Start,
    State,
    StopAsked,
    Told,
    Up,
    Wake,
    advance,
    begin,
)
from runtime.daemon.table import Kind, OnFailure, Pause, Stage, Table, rendered, table_for

SERVER = table_for("server")


@dataclass
class World:
    """A fake clock and the programs that the actions started; checks after each event what must always hold."""

    table: Table
    state: State = field(init=False)
    now: float = 0.0
    running: dict[str, int] = field(default_factory=dict)
    pauses: dict[str, tuple[int, float]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    finish: Finish | None = None
    up: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.state = begin(self.table)

    def send(self, event: Event) -> None:
        before = self.state
        self.state, actions = advance(self.table, self.state, event)
        for action in actions:
            match action:
                case Start(stage, attempt):
                    assert stage not in self.running, "started twice"
                    assert before.stop is None, "started although the node stops"
                    assert self.state.conditions.have(self.table[stage].needs)
                    self.running[stage] = attempt
                case Cancel(stage, attempt):
                    assert self.running[stage] == attempt
                    assert stage not in self.cancelled, "cancelled twice"
                    assert not self.table.lean_on(stage) & set(self.running), "others still lean on it"
                    self.cancelled.add(stage)
                case Wake(stage, attempt, seconds):
                    assert 0 < seconds <= self.table[stage].pause.most
                    self.pauses[stage] = (attempt, self.now + seconds)
                case Finish():
                    assert self.finish is None and not self.running
                    self.finish = action
        for condition in before.conditions:
            assert condition in tuple(self.state.conditions), "a latch went back"
        assert {name for name, stage in self.state.stages.items() if stage.runs} == set(self.running)
        assert self.state.finished == (self.finish is not None)

    def end(self, stage: str, error: str | None = None) -> None:
        self.up.discard(stage)
        self.send(Ended(self.now, stage, self._take(stage), error=error))

    def _take(self, stage: str) -> int:
        attempt = self.running[stage]
        del self.running[stage]
        return attempt

    def rise(self, stage: str) -> None:
        self.up.add(stage)
        self.send(Up(self.now, stage, self.running[stage]))

    def wake(self, stage: str) -> None:
        attempt, due = self.pauses.pop(stage)
        self.now = max(self.now, due)
        self.send(Due(self.now, stage, attempt))

    def settle(self) -> None:
        """Everything goes well until nothing more happens."""
        for _ in range(200):
            todo = [name for name in self.running if name not in self.up]
            if self.finish is not None or (not todo and not self.pauses):
                return
            for name in todo:
                if name not in self.running:
                    continue
                if self.table[name].kind is Kind.SERVICE and name not in self.cancelled:
                    self.rise(name)
                else:
                    self.end(name)
            for name in list(self.pauses):
                self.wake(name)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_order_of_events_starts_what_it_may_and_finishes_when_all_ended(data: st.DataObject) -> None:
    world = World(SERVER)
    world.send(Begin(0.0))
    for _ in range(data.draw(st.integers(0, 60))):
        if world.finish is not None:
            break
        world.now += data.draw(st.floats(0.0, 40.0))
        choices = ["stop", "stale"] if data.draw(st.integers(0, 30)) == 0 else []
        choices += ["end", "fail", "up", "told"] if world.running else []
        choices += ["wake"] if world.pauses else []
        if not choices:
            break
        kind = data.draw(st.sampled_from(choices))
        name = data.draw(st.sampled_from(sorted(world.pauses if kind == "wake" else world.running or {"etcd": 1})))
        match kind:
            case "stop":
                world.send(StopAsked(world.now, "asked"))
            case "stale":
                before = world.state
                world.send(Ended(world.now, name, 99, error="from another life"))
                assert world.state == before
            case "end":
                world.end(name)
            case "fail":
                world.end(name, "broken")
            case "up":
                world.rise(name)
            case "told":
                world.send(Told(world.now, name, world.running[name], "half way"))
            case "wake":
                world.wake(name)
    world.send(StopAsked(world.now, "the end"))
    while world.running:
        assert world.cancelled & set(world.running), "nothing was told to end"
        world.end(data.draw(st.sampled_from(sorted(world.cancelled & set(world.running)))))
    assert world.finish is not None
    assert all(not stage.runs and stage.phase is not Phase.PAUSED for stage in world.state.stages.values())


def booted() -> World:
    world = World(SERVER)
    world.send(Begin(0.0))
    world.settle()
    return world


def test_a_boot_in_which_all_goes_well_reaches_every_stage_and_stays_up() -> None:
    world = booted()
    assert {condition.name for condition in world.state.conditions} == set(SERVER.names)
    services = {stage.name for stage in SERVER.stages if stage.kind is Kind.SERVICE}
    assert {name for name, stage in world.state.stages.items() if stage.phase is Phase.UP} == services
    assert world.finish is None


def test_the_end_of_containerd_stops_the_node_with_an_error_and_the_kubelet_is_told_first() -> None:
    world = booted()
    world.end("containerd", "killed by SIGKILL")
    assert "kubelet" in world.cancelled
    for name in list(world.running):
        world.end(name)
    assert world.finish == Finish(1, "containerd: killed by SIGKILL")


def test_the_end_of_the_kubelet_starts_it_again_and_touches_nothing_else() -> None:
    world = booted()
    others = dict(world.state.stages)
    for failures in range(1, 8):
        world.now += 1.0
        world.end("kubelet", "exit code 255")
        assert world.state.stages["kubelet"].phase is Phase.PAUSED
        assert world.pauses["kubelet"][1] - world.now == min(5.0, 0.5 * 2 ** (failures - 1))
        world.wake("kubelet")
        world.rise("kubelet")
    assert world.state.stages["kubelet"].restarts == 7
    assert {n: s for n, s in world.state.stages.items() if n != "kubelet"} == {
        n: s for n, s in others.items() if n != "kubelet"
    }
    world.now += 31.0
    world.end("kubelet", "exit code 255")
    assert world.pauses["kubelet"][1] - world.now == 0.5, "after a while up it counts from the beginning"


def test_a_stop_ends_the_kubelet_before_containerd() -> None:
    world = booted()
    world.send(StopAsked(world.now, "SIGTERM"))
    assert "kubelet" in world.cancelled and "containerd" not in world.cancelled
    for name in sorted(world.running.keys() - {"containerd"}):
        world.end(name)
    assert "containerd" in world.cancelled
    world.end("containerd")
    assert world.finish == Finish(0, "SIGTERM")


def test_the_control_plane_starts_in_the_order_of_what_it_talks_to() -> None:
    world = World(SERVER)
    world.send(Begin(0.0))
    assert set(world.running) == {"bundle", "join", "kernel"}
    world.end("bundle")
    assert {"content", "archives"} <= set(world.running)
    world.end("join")
    world.end("files")
    assert {"manifests"} <= set(world.running) and "containerd" not in world.running
    world.end("manifests")
    assert {"etcd", "kube-proxy"} <= set(world.running) and "kubelet" not in world.running
    world.end("content")
    world.end("archives")
    world.end("kernel")
    world.rise("containerd")
    world.end("images")
    assert "kubelet" in world.running and "kube-apiserver" not in world.running
    world.end("etcd")
    assert "kube-apiserver" in world.running and "kube-scheduler" not in world.running
    world.end("kube-apiserver")
    assert {"kube-scheduler", "kube-controller-manager", "deploy"} <= set(world.running)
    assert "helm-controller" not in world.running, "its jobs need what the controller manager makes"
    world.end("kube-controller-manager")
    assert "helm-controller" in world.running


@pytest.mark.parametrize("stage", [s.name for s in SERVER.stages if s.failure is OnFailure.STOP])
def test_a_stage_without_which_nothing_works_stops_the_node(stage: str) -> None:
    world = World(SERVER)
    world.send(Begin(0.0))
    while stage not in world.running:
        name = min(world.running.keys() - world.up)
        world.rise(name) if SERVER[name].kind is Kind.SERVICE else world.end(name)
    world.end(stage, "broken")
    while world.running:
        world.end(min(world.cancelled & set(world.running)))
    assert world.finish is not None and world.finish.code == 1
    assert world.finish.reason == f"{stage}: broken"


def test_a_table_in_which_something_is_never_given_is_refused() -> None:
    with pytest.raises(ValueError, match="which no stage before it gives"):
        Table((Stage(name="b", text="", needs=("a",)), Stage(name="a", text="")))
    with pytest.raises(ValueError, match="two stages"):
        Table((Stage(name="a", text=""), Stage(name="a", text="")))


def test_pauses_double_up_to_their_bound() -> None:
    assert [Pause(first=1.0, most=5.0).after(n) for n in (1, 2, 3, 4, 5000)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_rendered_table_tells_every_stage() -> None:
    text = rendered(SERVER)
    assert all(f"| {name} |" in text for name in SERVER.names)
    assert "| containerd | content, files, kernel |" in text and "the node stops" in text


def test_the_page_has_the_table_of_the_code() -> None:
    page = (Path(__file__).parents[3] / "docs/server.md").read_text()
    _, _, rest = page.partition("<!-- stages: generated from runtime/daemon/table.py -->\n")
    assert rest.partition("<!-- end of stages -->")[0] == rendered(SERVER)


def test_an_agent_has_no_control_plane() -> None:
    assert set(table_for("agent").names) == {
        "balancer",
        "bundle",
        "content",
        "join",
        "files",
        "kernel",
        "archives",
        "containerd",
        "images",
        "manifests",
        "kube-proxy",
        "kubelet",
        "announce",
        "ready",
        "housekeeping",
    }
    assert table_for("agent")["files"].needs == ("bundle", "join")
    assert table_for("server")["join"].needs == ()
