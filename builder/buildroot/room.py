"""How a command gets into a build root: what is bound where, what it sees of its surroundings, and nothing else."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.buildroot import enter
from builder.errors import StepError
from builder.process import Cancel, run
from bundles.errors import MissingError

WORK: Final = "/build"
GO: Final = "/usr/local/go"
GO_MODULES: Final = "/go/mod"
GO_CACHE: Final = "/go/cache"
PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
NAME: Final = "build root"  # in words, for the plan and the provenance


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """A folder of the machine at a fixed place inside."""

    source: Path
    place: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """`root`: the unpacked build root. `binds`: the work folder and the caches; nothing else of the machine is seen.

    `rootless`: a user namespace even for root, as other users have it.
    """

    root: Path
    binds: tuple[Bound, ...]
    rootless: bool = False

    def seen(self, path: Path) -> str:
        """A path of the machine -> the same inside; raises StepError for one that is not bound."""
        for bound in self.binds:
            if path.is_relative_to(bound.source):
                return str(Path(bound.place) / path.relative_to(bound.source))
        raise StepError("not to be seen in the build root", where=path)

    def wrap(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> list[str]:
        """A command, its folder on the machine and its environment inside -> the command to run on the machine."""
        spec = {
            "root": str(self.root),
            "binds": [[os.path.realpath(b.source), b.place, "rw" if b.writable else "ro"] for b in self.binds],
            "cwd": self.seen(cwd),
            "env": dict(env),
            "rootless": self.rootless,
        }
        # -I and -S: no variable, no site package of the machine's Python has a say.
        return [sys.executable, "-I", "-S", enter.__file__, json.dumps(spec, sort_keys=True), "--", *argv]


def environment(epoch: int, more: Mapping[str, str]) -> dict[str, str]:
    """The whole environment inside; `epoch` in seconds for programs that write a time into what they make."""
    return {
        "PATH": PATH,
        "HOME": WORK,
        "TMPDIR": "/tmp",
        "USER": "root",
        "LOGNAME": "root",
        "SHELL": "/bin/sh",
        "LANG": "C",
        "LC_ALL": "C",
        "TZ": "UTC",
        "TAR_OPTIONS": "--no-same-owner",  # tar would try to give files away, and we cannot
        "SOURCE_DATE_EPOCH": str(epoch),
        **more,
    }


def check_entry(room: Room, work: Path, cancel: Cancel | None = None) -> None:
    """Raises MissingError where this machine lets nobody into a build root."""
    try:
        argv = room.wrap(["true"], cwd=work, env=environment(0, {}))
        run(argv, cwd=Path("/"), env={}, what="entering the build root", cancel=cancel)
    except StepError as exc:
        raise MissingError(
            "this machine lets nobody into a build root",
            got=str(exc),
            hint="run as root, or allow unprivileged user namespaces; or leave `buildroot` out of the recipe",
        ) from exc
