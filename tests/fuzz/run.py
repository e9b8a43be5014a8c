"""Fuzzing with atheris: `python -m tests.fuzz.run --seconds N [TARGET...]`; as many targets at a time as processors.

Fails when a target finds something, and also when it proves nothing: too few executions, or no coverage beyond that of
its seeds. Findings stay below out/fuzz/TARGET/findings; `--replay FILE TARGET` runs one again, without instruments.
`--seed N` goes the same way each time, as far as the time reaches: a finding in CI is that of a change, not of a day.
"""

import argparse
import hashlib
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.fuzz import report, work
from tests.fuzz.model import Target

ROOT: Final = Path(__file__).resolve().parents[2]
OUT: Final = ROOT / "out" / "fuzz"
TARGETS: Final = "tests.fuzz.targets"
MEMORY: Final = Path("/dev/shm")  # files that live for a millisecond need no disk


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    given = _parser().parse_args(arguments)
    names = given.targets or known()
    if unknown := sorted(set(names) - set(known())):
        print(f"no such target: {', '.join(unknown)}; known: {', '.join(known())}", file=sys.stderr)
        return 2
    if given.replay:
        target(f"{TARGETS}.{names[0]}").read(given.replay.read_bytes())
        print(f"{given.replay}: taken or refused, as it must be")
        return 0
    found = fuzz([f"{TARGETS}.{name}" for name in names], given.seconds, given.out, keep=given.keep, seed=given.seed)
    for line in report.table(found, given.seconds):
        print(line)
    return 1 if any(result.wrong for result in found) else 0


def known() -> list[str]:
    """The names of all targets."""
    return sorted(path.stem for path in (Path(__file__).parent / "targets").glob("*.py"))


def target(module: str) -> Target:
    """The target of a module."""
    found = importlib.import_module(module).TARGET
    assert isinstance(found, Target)
    return found


def fuzz(modules: Sequence[str], seconds: int, out: Path, *, keep: bool = False, seed: int = 0) -> list[report.Result]:
    """Runs targets for so many seconds each. `keep`: what was learned stays in out/TARGET/corpus, for the next run.

    `seed` of the random mutations; 0: another one each time.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(lambda module: _fuzz(module, seconds, out, keep, seed), modules))


def _fuzz(module: str, seconds: int, out: Path, keep: bool, seed: int) -> report.Result:
    name, aim = module.rpartition(".")[2], target(module)
    home = out / name
    shutil.rmtree(home / "findings", ignore_errors=True)
    if not keep:
        shutil.rmtree(home / "corpus", ignore_errors=True)
    (home / "findings").mkdir(parents=True)
    (home / "corpus").mkdir(exist_ok=True)
    learned = any((home / "corpus").iterdir())
    _write_seeds(home / "seeds", aim)
    with tempfile.TemporaryDirectory(prefix="sealift-fuzz-", dir=MEMORY if MEMORY.is_dir() else None) as scratch:
        run = work.Work(module=module, packages=aim.packages, home=home, scratch=Path(scratch))
        log, code = work.run(run, seconds, seed)
    if not keep:
        shutil.rmtree(home / "corpus")
    wanted = report.Wanted(executions=int(seconds * aim.least), growth=not learned)
    return report.judge(name, log, code, wanted, findings=sorted((home / "findings").iterdir()))


def _write_seeds(folder: Path, aim: Target) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for seed in aim.seeds():
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(known())}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default 0: another one each time)")
    parser.add_argument("--keep", action="store_true", help="learn from earlier runs, and keep what this one learns")
    parser.add_argument("--out", type=Path, default=OUT, help="where logs and findings go")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input of one TARGET")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
