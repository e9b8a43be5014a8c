"""Runs what a plan misses: steps side by side, each with a folder and a log of its own, receipts at the end of each."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builder.describe.receipts import SANDBOX
from builder.errors import StepError
from builder.executor import Failure, Task, ThreadExecutor
from builder.lock.model import Lock
from builder.plan.graph import Plan, Row
from builder.plan.model import Receipt
from builder.process import Cancel, Cancelled
from builder.recipe.model import Recipe
from builder.sandbox import Sandbox
from builder.steps.context import Job, LightJob, StepContext
from builder.store import Store
from builder.times import Times
from bundles.errors import SealiftError
from bundles.files import os_errors
from bundles.platform import Platform

if TYPE_CHECKING:
    from builder.build import BuildOptions

_POLL = 0.2  # seconds between two looks at a lock that another process holds


def run_missing(
    plan: Plan, recipe: Recipe, lock: Lock, platform: Platform, sandbox: Sandbox, options: "BuildOptions"
) -> tuple[dict[str, Receipt], dict[str, float]]:
    """Runs the missing steps -> all receipts by step name, and seconds by name of those that ran.

    After the first failure nothing new is begun; all failures are shown. Raises StepError or SealiftError, or
    KeyboardInterrupt after the running programs have ended.
    """
    receipts = {
        name: found for name, row in plan.rows.items() if (found := _cached(plan, options.store, row)) is not None
    }
    light = _run_light(plan, sandbox, options)
    receipts |= light
    seconds = dict.fromkeys(light, 0.0)
    jobs = {job.step.name: job for job in plan.missing if isinstance(job, Job)}

    def work(name: str) -> None:
        context = _context(jobs[name], receipts, recipe, lock, platform, sandbox, options, plan.rows[name])
        started = options.clock()
        options.talk.begin(name, jobs[name].step.seconds)
        try:
            receipts[name] = _run_once(jobs[name], plan.rows[name], context, options)
        finally:
            seconds[name] = options.clock() - started
            options.talk.end(name, seconds[name], ok=name in receipts)

    tasks = [
        Task(
            name=name,
            needs=tuple(need for need in job.step.needs if need in jobs),
            seconds=job.step.seconds,
            lane=job.lane,
        )
        for name, job in jobs.items()
    ]
    outcome = ThreadExecutor(options.jobs).run(tasks, work, options.cancel.cancel)
    if outcome.failures:
        raise _failure(outcome.failures)
    return receipts, seconds


def _run_light(plan: Plan, sandbox: Sandbox, options: "BuildOptions") -> dict[str, Receipt]:
    """The steps that take no time: all of them, also after a failure. Another process may do the same at once."""
    receipts: dict[str, Receipt] = {}
    failures: list[Failure] = []
    with options.store.batch() as batch:
        for job in plan.missing:
            if not isinstance(job, LightJob):
                continue
            options.cancel.check()
            try:
                receipts[job.step.name] = found = _marked(job.run(options.store), sandbox)
            except SealiftError as exc:
                failures.append(Failure(name=job.step.name, error=exc))
            else:
                batch.finish(plan.rows[job.step.name].id, found)
    if failures:
        raise _failure(failures)
    if receipts:
        options.talk.say(f"checked the manifests and configurations of {len(receipts)} images")
    return receipts


def _run_once(job: Job, row: Row, context: Callable[[Path], StepContext], options: "BuildOptions") -> Receipt:
    """One process at a time runs one step; whoever waited finds the receipt."""
    store = options.store
    with _alone(store, f"step-{row.id.hex[:24]}", options.cancel):
        found = store.receipt(row.id)
        if found is None:
            started = options.clock()
            # A failed step can be run by hand where it failed, until the next build tidies up.
            with store.temp_folder("step", keep_after=(StepError,)) as folder:
                within = context(folder)
                found = _marked(job.run(within), within.sandbox)
            store.write_receipt(row.id, found)
            Times(store).note(job.step.name, options.clock() - started)
        return found


def _marked(found: Receipt, sandbox: Sandbox) -> Receipt:
    """What was made where a network could be reached says so for ever: the provenance of a bundle tells it."""
    return found if sandbox.isolated else replace(found, facts={**found.facts, SANDBOX: sandbox.name})


@contextlib.contextmanager
def _alone(store: Store, name: str, cancel: Cancel) -> Iterator[None]:
    """Holds a lock of the store; the wait for it ends when the build is called off."""
    with contextlib.ExitStack() as stack:
        while True:
            cancel.check()
            try:
                stack.enter_context(store.lock(name, exclusive=True, wait=False))
                break
            except SealiftError as exc:
                if not isinstance(exc.__cause__, BlockingIOError):
                    raise
                time.sleep(_POLL)
        yield


def _context(
    job: Job,
    receipts: Mapping[str, Receipt],
    recipe: Recipe,
    lock: Lock,
    platform: Platform,
    sandbox: Sandbox,
    options: "BuildOptions",
    row: Row,
) -> Callable[[Path], StepContext]:
    log = options.store.logs / f"{re.sub(r'[^a-z0-9.]+', '-', job.step.name.lower())}-{row.id.hex[:12]}.log"
    with os_errors(log):
        log.unlink(missing_ok=True)

    def make(folder: Path) -> StepContext:
        return StepContext(
            store=options.store,
            sandbox=sandbox,
            recipe=recipe,
            lock=lock,
            platform=job.platform or platform,
            machine=options.host,
            folder=folder,
            log=log,
            needed={name: receipts[name] for name in job.step.needs},
            jobs=options.jobs,
            cancel=options.cancel,
            host={name: options.env.get(name, "") for name in ("PATH", "SEALIFT_ENGINE")},
        )

    return make


def _cached(plan: Plan, store: Store, row: Row) -> Receipt | None:
    return plan.receipts.get(row.id) or store.receipt(row.id) if row.cached else None


def _failure(all_of_them: Sequence[Failure]) -> Exception:
    """One error for all failures; work that was only called off because of another one is not named."""
    real = [failure for failure in all_of_them if not isinstance(failure.error, Cancelled)]
    failures = real or list(all_of_them)
    if len(failures) == 1:
        return failures[0].error
    texts = "\n".join(_text(failure) for failure in failures)
    return StepError(f"{len(failures)} steps failed:\n{texts}")


def _text(failure: Failure) -> str:
    if isinstance(failure.error, SealiftError):
        return str(failure.error) if failure.error.where == failure.name else f"{failure.name}: {failure.error}"
    return f"{failure.name}: {type(failure.error).__name__}: {failure.error}"
