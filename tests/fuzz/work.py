"""The process that fuzzes one target: started, watched, and ended when it does not end itself."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
# A process begins with the peak memory of the one it was forked from (getrusage(2)), and libFuzzer's limit counts it: a
# shell in between is small whoever starts it. The fuzzer ends with the shell.
_FRESH: Final = ("/bin/sh", "-c", '"$@"; exit $?', "fresh", "setpriv", "--pdeathsig", "KILL", "--")
_GRACE: Final = 90  # seconds beyond the time a target has: start, seeds, one slow input, the report


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """A target's module, what of ours is instrumented, its folder of seeds and findings, and scratch space."""

    module: str
    packages: tuple[str, ...]
    home: Path
    scratch: Path


def run(work: Work, seconds: int, seed: int) -> tuple[str, int]:
    """Fuzzes so many seconds from `seed` (0: any) -> what libFuzzer said, the exit code (-1: ended from outside)."""
    log = work.home / "log.txt"
    words = [sys.executable, "-m", "tests.fuzz.child", work.module, ",".join(work.packages), str(work.home)]
    words += [str(seconds), str(seed)]
    env = {
        **os.environ,
        "TMPDIR": str(work.scratch),
        "PYTHONWARNINGS": "ignore",
        "PYTHONHASHSEED": str(seed) if seed else "random",
    }
    with log.open("wb") as file:
        child = subprocess.Popen(
            [*_FRESH, *words],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
        try:
            code = child.wait(seconds + _GRACE)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    return log.read_text("utf-8", "replace"), code
