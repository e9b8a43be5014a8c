"""What a step gets to work with, and what a kind of step is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.lock.model import Lock
from builder.plan.model import Receipt, Step
from builder.process import Cancel
from builder.recipe.model import Recipe
from builder.sandbox import Sandbox
from builder.store import Store
from bundles.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class StepContext:
    """`folder` is private, empty, and gone afterwards; `needed` holds the receipts of the step's needs by name.

    `jobs` is how many threads or compiler processes the step may use; it never decides a byte. `host` holds the few
    variables of the caller's environment that programs need (PATH). `machine` is the building machine's platform, None
    where it is the one that is built for.
    """

    store: Store
    sandbox: Sandbox
    recipe: Recipe
    lock: Lock
    platform: Platform
    folder: Path
    log: Path
    needed: Mapping[str, Receipt]
    jobs: int
    cancel: Cancel
    machine: Platform | None = None
    host: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A step and how it is run. Jobs of one `lane` run one after the other.

    `platform`: what it makes programs for, where that is not the bundle's: a program that this build itself runs.
    """

    step: Step
    run: Callable[[StepContext], Receipt]
    lane: str = ""
    platform: Platform | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LightJob:
    """A step of milliseconds, of what lies in the store alone, without a folder, a log or other steps.

    Such steps are done by the hundred, and the disk is waited for once for all of them.
    """

    step: Step
    run: Callable[[Store], Receipt]


def clean_environment(context: StepContext, **more: str) -> dict[str, str]:
    """The environment of a build: nothing of the caller's but PATH, and nothing that names a place or a time.

    SOURCE_DATE_EPOCH is the lock's epoch (reproducible-builds.org specification).
    """
    return {
        "PATH": context.host.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "HOME": str(context.folder),
        "TMPDIR": str(context.folder),
        "LC_ALL": "C",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(context.lock.epoch),
        **more,
    }
