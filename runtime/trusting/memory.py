"""What a node remembers so that nothing old is sold to it as new: highest sequences, times seen, the log's end.

One small file, replaced by rename. The rules that read it are pure and stand here too.
"""

from pathlib import Path
from typing import Final

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import os_errors, write_atomic
from bundles.policy.judge import Claims, Refusal
from runtime.trusting.audit import EMPTY, Head

_FORMAT: Final = "1.0"
_MAX: Final = 1 << 20  # bytes
# A clock that runs a little slow is no attack; one that goes back by more is told.
CLOCK_SLACK: Final = 300  # seconds


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """`sequences`: highest sequence admitted, by line of bundles; `clock`: latest time of this node's clock at a
    decision, `signed`: latest time in a signed document (both epoch seconds); `audit_*`: the end of the audit log.
    """

    format: str = _FORMAT
    sequences: dict[str, int] = {}
    clock: int = 0
    signed: int = 0
    audit_count: int = 0
    audit_digest: Digest = EMPTY.digest

    @property
    def audit(self) -> Head:
        """The end of the audit log as it was last written."""
        return Head(count=self.audit_count, digest=self.audit_digest)

    def time(self, now: int) -> int:
        """The time that rules about time go by: never before what this node has seen already.

        A clock that was set back (or lost its battery, and begins at 1970) does not make an expired bundle valid.
        """
        return max(now, self.clock, self.signed)

    def admitted(self, line: str, claims: Claims, *, now: int, trusted: bool) -> "Memory":
        """The memory after a bundle was admitted. What nobody signed (`trusted` False) raises nothing: a stranger's
        sequence or date must not lock the real bundles out.
        """
        if not trusted:
            return self
        highest = max(self.sequences.get(line, 0), claims.sequence)
        return msgspec.structs.replace(
            self,
            sequences={**self.sequences, line: highest},
            clock=max(self.clock, now),
            signed=max(self.signed, claims.created),
        )

    def overruled(self, line: str, claims: Claims, *, now: int) -> "Memory":
        """The memory after an administrator insisted: sequence and clock count anew from what was insisted on."""
        return msgspec.structs.replace(
            self, sequences={**self.sequences, line: claims.sequence}, clock=now, signed=min(self.signed, now)
        )

    def logged(self, head: Head) -> "Memory":
        """The memory after a line was added to the audit log."""
        return msgspec.structs.replace(self, audit_count=head.count, audit_digest=head.digest)


def line_of(*, name: str, flavour: str, platform: str) -> str:
    """Which sequence a bundle belongs to: releases of one name, flavour and platform are numbered together."""
    return f"{name} {flavour} {platform}"


def rollback(memory: Memory, line: str, claims: Claims) -> Refusal | None:
    """Why this bundle is a step back, None when it is not. The same sequence again is none: staging is repeatable."""
    highest = memory.sequences.get(line, 0)
    if claims.sequence >= highest:
        return None
    return Refusal(
        message="an older bundle than this node has had",
        got=f"sequence {claims.sequence}",
        want=f">= {highest}",
        hint="to go back on purpose, say why: --override REASON (it is recorded)",
        override=True,
    )


def clock_warning(memory: Memory, now: int) -> str | None:
    """What to tell when this machine's clock is behind what the node has seen."""
    behind = max(memory.clock, memory.signed) - now
    if behind <= CLOCK_SLACK:
        return None
    return f"this machine's clock is {behind} s behind what this node has seen; expiry goes by the later time"


def read(path: Path) -> Memory:
    """The file -> Memory, the empty one when there is none.

    Raises FormatError: a memory that cannot be read must not be a memory that forgot.
    """
    with os_errors(path):
        try:
            with path.open("rb") as file:
                data = file.read(_MAX + 1)
        except FileNotFoundError:
            return Memory()
    memory = jsontext.decode(data, Memory, where=path, max_size=_MAX)
    if memory.format.partition(".")[0] != _FORMAT.partition(".")[0]:
        raise FormatError("written by another version of sealift-node", where=path, got=memory.format, want=_FORMAT)
    return memory


def write(path: Path, memory: Memory) -> None:
    """Replaces the file, atomically and durably; mode 0600."""
    write_atomic(path, jsontext.encode_canonical(memory), mode=0o600)
