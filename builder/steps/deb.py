"""Debian components: named files out of one binary package, without dpkg and without its maintainer scripts."""

import functools
from typing import Any, Final

from builder.errors import StepError
from builder.facts.elf import elf_facts
from builder.facts.program import Expectation, check_program
from builder.lock.model import LockedInput
from builder.plan.model import Output, Receipt, Step
from builder.recipe.model import DebComponent
from builder.steps.context import Job, StepContext
from builder.steps.debfile import DebFile
from bundles.platform import Platform

VERSION: Final = 1


def describe(component: DebComponent, locked: LockedInput, platform: Platform) -> Job:
    """Component and its locked package -> its job. Pure."""
    step = Step(
        name=f"component {component.name}",
        kind="deb",
        version=VERSION,
        description={
            "files": [[file.name, str(file.digest)] for file in locked.files],
            "take": {name: str(path) for name, path in component.files.items()},
            "static": component.static,
            "platform": str(platform),
        },
    )
    return Job(step=step, run=functools.partial(_run, component, locked))


def _run(component: DebComponent, locked: LockedInput, context: StepContext) -> Receipt:
    (package,) = locked.files
    found = DebFile(context.store.read(package.digest), where=package.name)
    want = Expectation(platform=context.platform, static=component.static)
    outputs: dict[str, Output] = {}
    programs: dict[str, Any] = {}
    faults: list[str] = []
    for name, path in component.files.items():
        content, executable = found.file(str(path))
        if elf_facts(content) is not None or (component.static and executable):
            checked = check_program(content, want)
            programs[name] = checked.facts
            faults += [f"{name}: {fault}" for fault in checked.wrong]
        digest = context.store.put(content)
        outputs[name] = Output(digest=digest, size=len(content), mode=0o755 if executable else 0o644)
    if faults:
        raise StepError(
            "not what the recipe promises:\n  " + "\n  ".join(faults),
            where=f"component {component.name}",
            hint="`static: false` accepts programs that need a loader and libraries",
        )
    return Receipt(outputs=outputs, facts={"package": f"{component.package}={component.version}", "programs": programs})
