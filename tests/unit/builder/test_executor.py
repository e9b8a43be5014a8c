"""Steps begin after what they need, a failure stops new ones, an interrupt ends running ones."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.executor import Outcome, Schedule, Task, ThreadExecutor


def never() -> None:
    pytest.fail("nothing was interrupted")


def run(tasks: list[Task], work: Callable[[str], None], jobs: int = 2) -> Outcome:
    return ThreadExecutor(jobs).run(tasks, work, never)


@st.composite
def graphs(draw: st.DrawFn) -> list[Task]:
    """Any graph without circles: a task may need those before it."""
    tasks: list[Task] = []
    for number in range(draw(st.integers(0, 12))):
        needs = draw(st.lists(st.sampled_from(tasks), unique_by=lambda task: task.name)) if tasks else []
        lane = draw(st.sampled_from(["", "", "go"]))
        seconds = draw(st.integers(0, 100))
        tasks.append(
            Task(name=f"t{number}", needs=tuple(need.name for need in needs), seconds=seconds, lane=lane),
        )
    return tasks


@given(graphs(), st.sampled_from([1, 2, 8]))
def test_every_task_runs_once_and_after_its_needs(tasks: list[Task], jobs: int) -> None:
    lock, ended = threading.Lock(), list[str]()
    needs = {task.name: task.needs for task in tasks}
    early: list[str] = []

    def work(name: str) -> None:
        with lock:
            early.extend(need for need in needs[name] if need not in ended)
            ended.append(name)

    outcome = run(tasks, work, jobs)
    assert not early
    assert sorted(ended) == sorted(outcome.done) == sorted(needs)
    assert not outcome.failures and not outcome.not_begun


@given(graphs(), st.data())
def test_a_lane_holds_one_task_in_any_order_of_ends(tasks: list[Task], data: st.DataObject) -> None:
    lanes = {task.name: task.lane for task in tasks}
    schedule, running = Schedule(tasks), list[str]()
    while True:
        while (name := schedule.begin()) is not None:
            running.append(name)
        assert sum(lanes[name] == "go" for name in running) <= 1
        if not running:
            break
        ended = data.draw(st.sampled_from(running))
        running.remove(ended)
        schedule.end(ended, done=True)
    assert sorted(schedule.done) == sorted(lanes)


def test_the_longest_way_to_the_end_begins_first() -> None:
    tasks = [
        Task(name="quick", seconds=50),
        Task(name="first of a long way", seconds=1),
        Task(name="rest of it", seconds=60, needs=("first of a long way",)),
    ]
    assert Schedule(tasks).begin() == "first of a long way"


def test_after_a_failure_nothing_new_begins_and_what_runs_may_end() -> None:
    failed, begun = threading.Event(), threading.Event()

    def work(name: str) -> None:
        if name == "bad":
            assert begun.wait(10)
            failed.set()
            raise ValueError("broken")
        begun.set()
        assert failed.wait(10)

    tasks = [Task(name="bad", seconds=3), Task(name="good", seconds=2), Task(name="late", seconds=1)]
    outcome = run(tasks, work)
    assert [failure.name for failure in outcome.failures] == ["bad"]
    assert isinstance(outcome.failures[0].error, ValueError)
    assert outcome.done == ("good",)
    assert outcome.not_begun == ("late",)


def test_all_failures_of_steps_that_ran_together_are_told() -> None:
    together = threading.Barrier(2, timeout=10)

    def work(name: str) -> None:
        together.wait()
        raise ValueError(name)

    outcome = run([Task(name="a"), Task(name="b")], work)
    assert sorted(str(failure.error) for failure in outcome.failures) == ["a", "b"]


def test_an_interrupt_stops_running_work_and_is_raised_after_it_ended() -> None:
    stopped, ended = threading.Event(), threading.Event()

    def work(name: str) -> None:
        if name == "interrupted":
            raise KeyboardInterrupt
        assert stopped.wait(10)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        ThreadExecutor(2).run([Task(name="interrupted"), Task(name="long")], work, stopped.set)
    assert ended.is_set()


@pytest.mark.parametrize(
    "tasks",
    [
        [Task(name="a", needs=("b",))],
        [Task(name="a"), Task(name="a")],
        [Task(name="a", needs=("b",)), Task(name="b", needs=("a",))],
    ],
    ids=["unknown need", "same name", "circle"],
)
def test_a_graph_that_cannot_end_is_refused_before_anything_runs(tasks: list[Task]) -> None:
    with pytest.raises(ValueError, match=r"task|itself"):
        run(tasks, lambda name: pytest.fail(f"{name} ran"))
