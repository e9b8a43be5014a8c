"""Runs tasks in the order of their needs, several at once.

`Schedule` decides (pure, no clock, no threads); `Executor` is the place where a distributed engine may come in later;
`ThreadExecutor` is today's. Steps wait for programs most of the time, so threads serve.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One thing to do: `needs` are names of other tasks, `seconds` an estimate.

    Tasks of one non-empty `lane` run one after the other: two Go builds would each take every core and twice the
    memory, and neither would be done sooner.
    """

    name: str
    needs: tuple[str, ...] = ()
    seconds: int = 1
    lane: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A task that raised."""

    name: str
    error: Exception


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended: names in the order they were done, failures, and what was never begun."""

    done: tuple[str, ...]
    failures: tuple[Failure, ...]
    not_begun: tuple[str, ...]


class Executor(Protocol):
    """Runs `work(name)` for every task, needs first; after the first failure nothing new is begun.

    `stop` is called when the run is interrupted (Ctrl-C): it has to make running work end soon.
    """

    def run(self, tasks: Sequence[Task], work: Callable[[str], None], stop: Callable[[], None]) -> Outcome:
        """Tasks -> outcome; KeyboardInterrupt is raised again after all running work has ended."""


class Schedule:
    """Which task may begin next: needs done, lane free, the longest way to the end first, then by name."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        """Raises ValueError for a need that is no task, two tasks of one name, or a circle: bugs of the caller."""
        listed = list(tasks)
        self._tasks = {task.name: task for task in listed}
        if len(self._tasks) != len(listed):
            raise ValueError("two tasks of one name")
        self._rank = {name: (-seconds, name) for name, seconds in _ways(self._tasks).items()}
        self._waiting = set(self._tasks)
        self._running: set[str] = set()
        self._done: list[str] = []

    def begin(self) -> str | None:
        """The next task, from now on running; None when nothing can begin now."""
        lanes = {lane for name in self._running if (lane := self._tasks[name].lane)}
        done = set(self._done)
        ready = (
            name
            for name in self._waiting
            if self._tasks[name].lane not in lanes and done.issuperset(self._tasks[name].needs)
        )
        name = min(ready, key=self._rank.__getitem__, default=None)
        if name is not None:
            self._waiting.remove(name)
            self._running.add(name)
        return name

    def end(self, name: str, *, done: bool) -> None:
        """A running task has ended."""
        self._running.remove(name)
        if done:
            self._done.append(name)

    @property
    def done(self) -> tuple[str, ...]:
        """What is done, in that order."""
        return tuple(self._done)

    @property
    def waiting(self) -> tuple[str, ...]:
        """What has not begun, by name."""
        return tuple(sorted(self._waiting))


class ThreadExecutor:
    """Up to `jobs` tasks at once, each in a thread."""

    def __init__(self, jobs: int) -> None:
        """Takes how many, at least 1."""
        self._jobs = max(1, jobs)

    def run(self, tasks: Sequence[Task], work: Callable[[str], None], stop: Callable[[], None]) -> Outcome:
        """See Executor."""
        schedule = Schedule(tasks)
        failures: list[Failure] = []
        running: dict[Future[None], str] = {}
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="step") as pool:
            try:
                while True:
                    while not failures and len(running) < self._jobs and (name := schedule.begin()) is not None:
                        running[pool.submit(work, name)] = name
                    if not running:
                        return Outcome(done=schedule.done, failures=tuple(failures), not_begun=schedule.waiting)
                    ended, _ = wait(running, return_when=FIRST_COMPLETED)
                    failures += _collect(schedule, {future: running.pop(future) for future in ended})
            except BaseException:
                stop()
                raise


def _collect(schedule: Schedule, ended: dict[Future[None], str]) -> list[Failure]:
    failures = []
    for future, name in sorted(ended.items(), key=lambda item: item[1]):
        error = future.exception()
        schedule.end(name, done=error is None)
        if isinstance(error, Exception):
            failures.append(Failure(name=name, error=error))
        elif error is not None:
            raise error
    return failures


def _ways(tasks: dict[str, Task]) -> dict[str, int]:
    """Seconds from the begin of each task to the end of the last one that waits for it."""
    users: dict[str, list[str]] = {name: [] for name in tasks}
    for task in tasks.values():
        for need in task.needs:
            if need not in tasks:
                raise ValueError(f"{task.name} needs {need}, which is no task")
            users[need].append(task.name)
    ways: dict[str, int] = {}

    def way(name: str, above: tuple[str, ...]) -> int:
        if name in above:
            raise ValueError(f"{name} waits for itself")
        if name not in ways:
            ways[name] = tasks[name].seconds + max((way(user, (*above, name)) for user in users[name]), default=0)
        return ways[name]

    return {name: way(name, ()) for name in tasks}
