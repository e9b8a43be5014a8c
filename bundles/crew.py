"""Jobs beside each other on a few threads, with the result and the failure that one thread would give.

sha256, zstd, reading and writing release the interpreter's lock: threads are all it takes to use the cores.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import Final, Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
WORKERS: Final = 2


class Stopped(Exception):
    """An earlier job failed, or the user interrupted: this one's result does not count."""


class Seat:
    """What a job that is being done knows of the others."""

    def __init__(self, order: int, crew: "_Standing", helpers: Executor) -> None:
        self._order, self._crew, self._helpers = order, crew, helpers

    def go_on(self) -> None:
        """Raises Stopped when there is no use in going on; to be called every now and then."""
        if self._order >= self._crew.stop_from:
            raise Stopped

    def ahead(self, pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
        """The same pieces; while a thread has no job left, it makes the next piece as this one is used. Close it."""
        future: Future[bytes | None] | None = None
        try:
            while (piece := future.result() if future else next(pieces, None)) is not None:
                future = self._helpers.submit(next, pieces, None) if self._crew.idle() else None
                yield piece
        finally:
            if future and not future.cancel():
                wait((future,))


class _Standing:
    """How far the jobs are."""

    def __init__(self, jobs: int, workers: int) -> None:
        self._lock = threading.Lock()
        self._unfinished, self._workers = jobs, workers
        self.stop_from = jobs  # jobs from this place on need not go on

    def idle(self) -> bool:
        return self._unfinished < self._workers

    def stop(self, order: int) -> None:
        with self._lock:
            self.stop_from = min(self.stop_from, order)

    def finish(self) -> None:
        with self._lock:
            self._unfinished -= 1


class Crew(Generic[Job, Result]):
    """Does `work(job, seat)` for all jobs, the heaviest first, so that no thread is left alone with it at the end."""

    def __init__(self, work: Callable[[Job, Seat], Result], weight: Callable[[Job], int]) -> None:
        """`weight` of a job in any unit."""
        self._work, self._weight = work, weight

    def all(self, jobs: Sequence[Job], workers: int = WORKERS) -> list[Result]:
        """The results in the order of `jobs`; or the failure of the first job in that order that fails."""
        standing = _Standing(len(jobs), workers)
        with ThreadPoolExecutor(max(1, workers - 1)) as helpers, ThreadPoolExecutor(workers) as threads:
            try:
                order = sorted(range(len(jobs)), key=lambda at: -self._weight(jobs[at]))
                futures = {at: threads.submit(self._one, jobs[at], at, standing, helpers) for at in order}
                return [futures[at].result() for at in range(len(jobs))]
            except BaseException:
                standing.stop(0)
                raise

    def _one(self, job: Job, at: int, standing: _Standing, helpers: Executor) -> Result:
        try:
            return self._work(job, Seat(at, standing, helpers))
        except BaseException:
            standing.stop(at + 1)
            raise
        finally:
            standing.finish()
