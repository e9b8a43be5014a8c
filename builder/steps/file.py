"""A file beside the recipe."""

import functools
from typing import Final

from builder.errors import StepError
from builder.lock.model import LockedInput
from builder.plan.model import Receipt, Step
from builder.recipe.model import FileComponent
from builder.recipe.places import beside
from builder.steps.context import Job, StepContext

VERSION: Final = 1


def describe(component: FileComponent, locked: LockedInput, *, size: int = 0) -> Job:
    """Component and its locked digest -> its job; `size` in bytes. Pure."""
    step = Step(
        name=f"component {component.name}",
        kind="file",
        version=VERSION,
        description={"digest": str(locked.digest), "name": component.path.name, "mode": component.mode},
        seconds=1 + size // 500_000_000,
        size=size,
    )
    return Job(step=step, run=functools.partial(_run, component, locked))


def _run(component: FileComponent, locked: LockedInput, context: StepContext) -> Receipt:
    path = beside(context.recipe, component.path)
    output = context.store.put_file(path, component.mode)
    if output.digest != locked.digest:
        hint = "run sealift lock if the change is meant"
        raise StepError("the file changed since the lock", where=path, got=output.digest, want=locked.digest, hint=hint)
    return Receipt(outputs={component.path.name: output})
