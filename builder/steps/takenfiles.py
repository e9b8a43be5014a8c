"""Files that somebody else made, on their way into the store: programs among them are looked at first."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from builder.errors import StepError
from builder.facts.elf import elf_facts
from builder.facts.program import Expectation, check_program
from builder.plan.model import Output, Receipt
from builder.steps.context import StepContext

PROGRAMS: Final = "programs"  # fact: name -> what is known of it
_ELF: Final = b"\x7fELF"


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A file: where it lies now, and its mode (octal); `mode` None: 0755 for programs, else 0644."""

    path: Path
    mode: int | None


def keep_taken(context: StepContext, files: Mapping[str, Taken], component: str, *, static: bool) -> Receipt:
    """Checks the programs among the files and keeps all, or raises a StepError that names each fault of each."""
    want = Expectation(platform=context.platform, static=static)
    outputs: dict[str, Output] = {}
    facts: dict[str, Any] = {}
    faults: list[str] = []
    for name, file in sorted(files.items()):
        content = _program(file.path)
        if content is not None:
            checked = check_program(content, want)
            facts[name] = checked.facts
            faults += [f"{name}: {fault}" for fault in checked.wrong]
        mode = file.mode if file.mode is not None else 0o644 if content is None else 0o755
        if not faults:
            outputs[name] = context.store.put_file(file.path, mode)
    if faults:
        raise StepError(
            "not what the recipe promises:\n  " + "\n  ".join(faults),
            where=f"component {component}",
            hint="`static: false` accepts programs that need a loader and libraries",
        )
    return Receipt(outputs=outputs, facts={PROGRAMS: facts})


def _program(path: Path) -> bytes | None:
    """The bytes of an ELF file; None for others."""
    with path.open("rb") as file:
        if file.read(len(_ELF)) != _ELF:
            return None
    content = path.read_bytes()
    return content if elf_facts(content) is not None else None
