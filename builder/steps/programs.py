"""Finished programs on their way into the store: looked at first, refused with all their faults at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from builder.errors import StepError
from builder.facts.program import Expectation, check_program
from builder.plan.model import Output, Receipt
from builder.steps.context import StepContext

PROGRAM_MODE: Final = 0o755


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
        content = path.read_bytes()
        checked = check_program(content, want)
        faults += [f"{name}: {fault}" for fault in (*checked.wrong, *_leaks(content, context))]
        facts[name] = checked.facts
        if not faults:
            outputs[name] = context.store.put_file(path, PROGRAM_MODE)
    if faults:
        raise StepError(
            "not what the recipe promises:\n  " + "\n  ".join(faults),
            where=f"component {component}",
            hint=f"see {context.log}",
        )
    return Receipt(outputs=outputs, facts={"programs": facts})


def _leaks(content: bytes, context: StepContext) -> list[str]:
    """Places of this machine in a program: it would come out different on every other."""
    places = {"its build folder": context.folder, "the store": context.store.root}
    found = [what for what, path in places.items() if str(path).encode() in content]
    return [f"the path of {found[0]} is in it: it would differ elsewhere (strip it, or map the path)"] if found else []
