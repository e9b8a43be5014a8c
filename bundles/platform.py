"""Platforms: `os/arch[/variant]` in Go's words (OCI image spec, config.md), and the ELF machine that goes with each."""

import re
from dataclasses import dataclass

from bundles.errors import FormatError

_PART = re.compile(r"[a-z0-9]+")
# e_machine values of the ELF specification.
_ELF_MACHINES = {"amd64": 62, "arm64": 183}


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Platform:
    """An operating system, an architecture and optionally a variant."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """`linux/amd64` or `linux/arm64/v8` -> Platform; raises FormatError."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(_PART.fullmatch(part) for part in parts):
            raise FormatError("not a platform", got=repr(text[:80]), want="os/arch[/variant]")
        return cls(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else "")

    @classmethod
    def told(cls, system: str, architecture: str, variant: str, *, where: str) -> "Platform":
        """What an image's config says in three words; raises FormatError that names `where`."""
        try:
            return cls.parse("/".join(part for part in (system, architecture, variant) if part))
        except FormatError as exc:
            raise FormatError(exc.message, where=where, got=exc.got, want=exc.want) from exc

    def __str__(self) -> str:
        """`os/arch[/variant]`."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @property
    def dashed(self) -> str:
        """`os-arch[-variant]`, as in file names."""
        return str(self).replace("/", "-")

    @property
    def elf_machine(self) -> int | None:
        """The ELF `e_machine` of this architecture; None when Sealift does not know it."""
        return _ELF_MACHINES.get(self.architecture)


def from_machine(system: str, machine: str) -> Platform:
    """`os.uname()` words (`Linux`, `x86_64`) -> Platform; the caller passes them in."""
    words = {"x86_64": "amd64", "aarch64": "arm64"}
    return Platform(os=system.lower(), architecture=words.get(machine, machine))
