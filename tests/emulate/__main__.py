"""A bundle for arm64 held against the one for this machine: `python -m tests.emulate NATIVE_BUNDLE ARM64_BUNDLE`.

Both are verified, their images laid out as a container would see them. Each program of the one must be there in the
other; each is started, here or in qemu-user, and must say the same but for the architecture, or all that qemu lets it.
Then some do real work (see works.py). Exit code 1 when anything differs.
"""

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from tests.emulate.roots import Root, roots_of
from tests.emulate.words import said, same
from tests.emulate.works import WORKS


def main(native: Path, foreign: Path) -> int:
    """The exit code; prints a line for each program and each piece of work."""
    with tempfile.TemporaryDirectory(prefix="sealift-emulate-") as scratch:
        here, there = (roots_of(bundle, Path(scratch, str(number))) for number, bundle in enumerate((native, foreign)))
        wrong = [*missing(here, there), *versions(here, there), *_works(there, Path(scratch, "work"))]
    for line in wrong:
        print(f"WRONG  {line}", file=sys.stderr)
    return 1 if wrong else 0


def missing(here: dict[str, Root], there: dict[str, Root]) -> Iterator[str]:
    """Images and programs that only one of the bundles has."""
    ours, theirs = ({(name, path) for name, root in roots.items() for path in root.programs} for roots in (here, there))
    if not ours:
        yield "no program at all"
    for name, path in sorted(ours ^ theirs):
        yield f"{name}: {path} is in one of the bundles only"


def versions(here: dict[str, Root], there: dict[str, Root]) -> Iterator[str]:
    """Every program, on both machines."""
    rows = [(name, path) for name, root in here.items() for path in root.programs if path in there[name].programs]
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda row: (said(here[row[0]], row[1]), said(there[row[0]], row[1])), rows)
        for (name, path), (ours, theirs) in zip(rows, answers, strict=True):
            print(f"{name}:/{path}: {theirs.partition(chr(10))[0][:100]}", flush=True)
            if not same(path, ours, theirs):
                yield f"{name}: {path}\n  here:     {ours[:2000]!r}\n  emulated: {theirs[:2000]!r}"


def _works(there: dict[str, Root], scratch: Path) -> Iterator[str]:
    for work in WORKS:
        folder = scratch / work.__name__
        folder.mkdir(parents=True)
        try:
            print(f"{work.__name__.replace('_', ' ')}: {work(there, folder)}", flush=True)
        except (AssertionError, OSError, KeyError, ValueError) as exc:
            yield f"{work.__name__}: {exc!r}"


def _run() -> NoReturn:
    if len(sys.argv) != 3:
        sys.exit(f"usage: {__doc__}")
    sys.exit(main(*map(Path, sys.argv[1:])))


if __name__ == "__main__":
    _run()
