"""Finished programs on their way into the store: looked at first, refused with all their faults at once."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from builder.errors import StepError
from builder.facts.program import Expectation, check_program
from builder.plan.model import Output, Receipt
from builder.steps.context import StepContext

PROGRAM_MODE = 0o755


def keep_programs(context: StepContext, files: Mapping[str, Path], want: Expectation, component: str) -> Receipt:
    """Checks every program and keeps all of them, or raises a StepError that names each fault of each.

    The receipt's facts are `{"programs": {name: facts}}`.
    """
    outputs: dict[str, Output] = {}
    facts: dict[str, Any] = {}
    faults: list[str] = []
    for name, path in sorted(files.items()):
        if not path.is_file() or path.is_symlink():
            faults.append(f"{name}: the build did not make it")
            continue
        checked = check_program(path.read_bytes(), replace(want))
        faults += [f"{name}: {fault}" for fault in checked.wrong]
        facts[name] = checked.facts
        outputs[name] = context.store.put_file(path, PROGRAM_MODE)
    if faults:
        raise StepError(
            "not what the recipe promises:\n  " + "\n  ".join(faults),
            where=f"component {component}",
            hint=f"see {context.log}",
        )
    return Receipt(outputs=outputs, facts={"programs": facts})
