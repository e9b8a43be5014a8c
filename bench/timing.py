"""Runs commands and says what they cost; the only place of the bench that starts processes to be measured."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.model import Sample

Command = Sequence[str | os.PathLike[str]]


class BenchError(Exception):
    """A measured command failed: its figures would mean nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """Where a measure finds its things.

    `root` is the checkout, `programs` the folder of `sealift` and `sealift-node`, `bundle` the real bundle that
    `make bundle` built, `scratch` an empty folder of this measure (removed after it), `runs` how often each side runs.
    """

    root: Path
    programs: Path
    bundle: Path
    scratch: Path
    runs: int = 3
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def program(self, name: str) -> str:
        """`sealift` | `sealift-node` -> its path."""
        return os.fspath(self.programs / name)

    def run(self, command: Command, *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Sample:
        """Runs one command to its end and says what it cost. Raises BenchError with its output unless it succeeds."""
        with (self.scratch / "output.log").open("w+b") as log:
            started = time.perf_counter()
            child = subprocess.Popen(
                [os.fspath(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd,
                env={**self.environment, **(env or {})},
            )
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - started
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode != 0:
                log.seek(0)
                raise BenchError(
                    f"{command} ended with {child.returncode}:\n{log.read().decode(errors='replace')[-4000:]}"
                )
        return Sample(
            seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_bytes=usage.ru_maxrss * 1024,
            written_bytes=usage.ru_oublock * 512,
        )
