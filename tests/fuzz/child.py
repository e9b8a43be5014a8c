"""One target under atheris, in a process of its own: `python -m tests.fuzz.child MODULE PACKAGES FOLDER SECONDS`.

FOLDER has `seeds/`, and gets `corpus/` and, for a finding, the input in `findings/`. PACKAGES are instrumented.
libFuzzer's report goes to stderr; it ends the process, with 0 when the time is over and nothing was found.
"""

import importlib
import resource
import sys
from pathlib import Path
from typing import Final

import atheris

INPUT_SECONDS: Final = 10  # an input of some kilobytes that takes longer is a hang
MEMORY: Final = 450  # MiB resident: the 300 that hostile input may cost, and Python with its counters
DATA: Final = 1 << 30  # bytes: one allocation beyond that fails at once, whether it is touched or not


def main(module: str, packages: str, folder: Path, seconds: str) -> None:
    """Never returns."""
    with atheris.instrument_imports(include=packages.split(",")):
        target = importlib.import_module(module).TARGET
    resource.setrlimit(resource.RLIMIT_DATA, (DATA, DATA))

    def one(data: bytes) -> None:
        target.read(data)

    options = [
        f"-max_total_time={seconds}",
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


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
