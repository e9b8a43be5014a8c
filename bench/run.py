"""`python -m bench.run [NAME...]` measures side by side and prints a table; its figures also go to out/bench.json."""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.model import Figure
from bench.table import MEASURES
from bench.timing import Bench

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str]) -> int:
    """Measures what is asked for, everything by default -> exit code: 1 when `--strict` and a figure is not reached."""
    options = _parser().parse_args(arguments)
    figures: list[Figure] = []
    for name in options.names or MEASURES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="sealift-bench-", dir=options.scratch) as scratch:
            bench = Bench(
                root=ROOT,
                programs=Path(sys.prefix) / "bin",
                bundle=options.bundle.resolve(),
                scratch=Path(scratch),
                runs=options.runs,
            )
            for figure in MEASURES[name](bench):
                figures.append(figure)
                print(line(figure), flush=True)
    print("\n" + "\n".join(table(figures)))
    write(figures, options.report)
    return 1 if options.strict and not all(figure.met for figure in figures) else 0


def line(figure: Figure) -> str:
    """One figure in one line, as it is found."""
    verdict = "reached" if figure.met else "NOT REACHED"
    return f"  {figure.what}: {_value(figure)} ({_wanted(figure)}): {verdict}"


def table(figures: Sequence[Figure]) -> list[str]:
    """The figures as a table of Markdown, a note below for each row that has one."""
    lines = ["| what | figure | reach | ours | theirs | |", "|---|---|---|---|---|---|"]
    for figure in figures:
        row = (
            figure.what,
            _value(figure),
            _wanted(figure),
            figure.ours,
            figure.theirs,
            "" if figure.met else "not reached",
        )
        lines.append("| " + " | ".join(row) + " |")
    return lines + [f"* {figure.what}: {figure.note}" for figure in figures if figure.note]


def write(figures: Sequence[Figure], path: Path) -> None:
    """The same for programs."""
    rows = [{**asdict(figure), "met": figure.met} for figure in figures]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": "1.0", "machine": platform.platform(), "figures": rows}, indent=2) + "\n")


def _value(figure: Figure) -> str:
    digits = 2 if abs(figure.value) < 10 else 1
    return f"{figure.value:.{digits}f}{'' if figure.unit == 'x' else ' '}{figure.unit}"


def _wanted(figure: Figure) -> str:
    return f"{figure.reach} {figure.bound:g}{'' if figure.unit == 'x' else ' '}{figure.unit}"


def _parser() -> argparse.ArgumentParser:
    bundles = sorted((ROOT / "out/bundles").glob("rke2-*-classic-linux-amd64"))
    parser = argparse.ArgumentParser(prog="bench", description="Measures Sealift against what it replaces.")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *MEASURES], help=", ".join(MEASURES))
    parser.add_argument("--bundle", type=Path, default=bundles[-1] if bundles else None, required=not bundles)
    parser.add_argument("--runs", type=int, default=3, help="runs of each side; the fastest counts")
    parser.add_argument("--scratch", type=Path, default=ROOT / "out", help="where temporary files go (several GB)")
    parser.add_argument("--report", type=Path, default=ROOT / "out/bench.json")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a figure is not reached")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
