"""One target under atheris, in a process of its own: `python -m tests.fuzz.child MODULE PACKAGES FOLDER SECONDS SEED`.

FOLDER has `seeds/`, and gets `corpus/` and, for a finding, the input in `findings/`. PACKAGES are instrumented.
libFuzzer's report goes to stderr; it ends the process, with 0 when the time is over and nothing was found.
"""

import hashlib
import importlib
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Final, NoReturn

import atheris

INPUT_SECONDS: Final = 10  # an input of some kilobytes that takes longer is a hang
MEMORY: Final = 450  # MiB resident: the 300 that hostile input may cost, and Python with its counters
FOUND: Final = 77  # exit code, as libFuzzer's for a crash
DATA: Final = 1 << 30  # bytes: one allocation beyond that fails at once, whether it is touched or not


def main(module: str, packages: str, folder: Path, seconds: str, seed: str) -> None:
    """Never returns."""
    with atheris.instrument_imports(include=packages.split(",")):
        target = importlib.import_module(module).TARGET
    resource.setrlimit(resource.RLIMIT_DATA, (DATA, DATA))

    executed = 0

    def one(data: bytes) -> None:
        nonlocal executed
        executed += 1
        try:
            target.read(data)
        except Exception:
            _end(data, executed, folder / "findings")

    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-timeout={INPUT_SECONDS}",
        f"-rss_limit_mb={MEMORY}",
        f"-max_len={target.largest}",
        "-len_control=20",
        "-reload=0",
        "-print_final_stats=1",
        f"-artifact_prefix={folder}/findings/",
    ]
    atheris.Setup([sys.argv[0], *options, f"{folder}/corpus", f"{folder}/seeds"], one)
    atheris.Fuzz()


def _end(data: bytes, executed: int, folder: Path) -> NoReturn:
    """Keeps the input and ends the process here and now: libFuzzer's own way leads through all exit handlers."""
    traceback.print_exc()
    (folder / f"crash-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
    print(f"stat::number_of_executed_units: {executed}", file=sys.stderr, flush=True)
    os._exit(FOUND)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])
