"""What the machines of a proof take of memory, and whether there is as much. Pure but for one file."""

from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from bundles.talk import human_bytes

# What their processes hold once everything is ready, with room for the apiserver's answers; see docs/prove.md.
SERVER: Final = 1 << 30  # bytes
AGENT: Final = 384 << 20
_MEMINFO: Final = Path("/proc/meminfo")


def needed(servers: int, agents: int) -> int:
    """Bytes for so many machines."""
    return servers * SERVER + agents * AGENT


def available(meminfo: str) -> int | None:
    """/proc/meminfo (proc(5)) -> bytes that programs can get without swapping; None when it does not say."""
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    return None


def refuse_small(servers: int, agents: int, meminfo: Path = _MEMINFO) -> None:
    """Raises SealiftError when the machines would not fit: a proof that is killed half way proves nothing."""
    want, got = needed(servers, agents), available(meminfo.read_text())
    if got is not None and got < want:
        hint = "fewer --servers or --agents, or end other programs"
        what = f"{servers} server{'s' * (servers > 1)}" + (f" and {agents} agent{'s' * (agents > 1)}" if agents else "")
        raise SealiftError(
            f"not enough memory for {what}", got=f"{human_bytes(got)} free", want=human_bytes(want), hint=hint
        )
