"""ELF facts: is it a program for the right machine, and does it need anything beside the kernel?"""

from dataclasses import dataclass

PROGRAM_TYPES = {"ET_EXEC": "executable", "ET_DYN": "position independent"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ElfFacts:
    """`machine` is the e_machine number; `interpreter` the dynamic loader's path; `needed` the shared libraries."""

    bits: int
    machine: int
    type: str
    interpreter: str
    needed: tuple[str, ...]
    stripped: bool

    @property
    def static(self) -> bool:
        """No loader and no shared library."""
        return not self.interpreter and not self.needed


def elf_facts(content: bytes) -> ElfFacts | None:
    """A file's bytes -> its facts; None for a file that is no ELF program (or a damaged one)."""
    if not content.startswith(b"\x7fELF"):
        return None
    # Loads pyelftools, a tenth of the start of every command that knows plans.
    from builder.facts.elfread import read_elf

    return read_elf(content)
