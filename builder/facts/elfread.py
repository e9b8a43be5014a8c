"""The part of `elf` that reads: by pyelftools, which is loaded only where there is a program to look at."""

import io
import struct

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from builder.facts.elf import PROGRAM_TYPES, ElfFacts

_MAX_TABLE = 1 << 16  # sections or segments; more than e_shnum can say is nothing that a linker makes of programs
# What the library says of damage: it asserts, indexes and decodes as it goes along.
_DAMAGE = (ELFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError, struct.error)


def read_elf(content: bytes) -> ElfFacts | None:
    """Bytes with ELF's magic -> facts; None where they are damaged."""
    try:
        elf = ELFFile(io.BytesIO(content))
        if _endless(elf):
            return None
        return ElfFacts(
            bits=elf.elfclass,
            machine=int.from_bytes(content[18:20], "little" if elf.little_endian else "big"),
            type=PROGRAM_TYPES.get(elf["e_type"], str(elf["e_type"])),
            interpreter=_interpreter(elf),
            needed=_needed(elf),
            stripped=elf.get_section_by_name(".symtab") is None,
        )
    except _DAMAGE:
        return None  # a damaged file must not take the reader down with it


def read_sections(content: bytes) -> dict[str, tuple[int, bytes]]:
    """Bytes with ELF's magic -> section name -> offset and bytes, the ELF header first; empty for damaged files."""
    try:
        elf = ELFFile(io.BytesIO(content))
        if _endless(elf):
            return {}
        found = {"ELF header": (0, content[: elf.header.e_ehsize])}
        for number, section in enumerate(elf.iter_sections()):
            if section.header.sh_type != "SHT_NOBITS" and section.header.sh_size:
                start = int(section.header.sh_offset)
                name = section.name if section.name and section.name not in found else f"section {number}"
                found[name] = (start, content[start : start + int(section.header.sh_size)])
        return found
    except _DAMAGE:
        return {}


def _endless(elf: ELFFile) -> bool:
    """Whether its tables cannot be: 2**64 sections of no size would be looked at one by one."""
    header = elf.header
    tables = ((elf.num_sections(), header.e_shentsize, 40), (elf.num_segments(), header.e_phentsize, 32))
    return any(count > _MAX_TABLE or (count and size < least) for count, size, least in tables)


def _interpreter(elf: ELFFile) -> str:
    for segment in elf.iter_segments("PT_INTERP"):
        if isinstance(segment, InterpSegment):
            return segment.get_interp_name()
    return ""


def _needed(elf: ELFFile) -> tuple[str, ...]:
    found: list[str] = []
    for segment in elf.iter_segments("PT_DYNAMIC"):
        if isinstance(segment, DynamicSegment):
            # pyelftools gives a tag the attribute of its name; its types do not know
            found += [str(vars(tag)["needed"]) for tag in segment.iter_tags("DT_NEEDED")]
    return tuple(found)
