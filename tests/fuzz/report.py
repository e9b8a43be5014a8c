"""What a run of libFuzzer proved: read from its report, and judged."""

import base64
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_EXECUTED: Final = re.compile(r"^stat::number_of_executed_units:\s+([0-9]+)$", re.MULTILINE)
_MEMORY: Final = re.compile(r"^stat::peak_rss_mb:\s+([0-9]+)$", re.MULTILINE)
_SEEDED: Final = re.compile(r"^#[0-9]+\s+INITED\s+cov: ([0-9]+)", re.MULTILINE)
_COVERED: Final = re.compile(r"^#[0-9]+\s+[A-Z]+\w*\s+cov: ([0-9]+)", re.MULTILINE)
_SLOW: Final = "slow-unit-"  # libFuzzer's own remark on an input; a hang is a finding of its own
_TEXT: Final = 8_000  # characters
_TAIL: Final = 40  # lines of the log that a finding is told with


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a run must reach: `executions` at least; `growth`: coverage that the seeds alone do not have."""

    executions: int
    growth: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A run of one target: coverage in edges, memory in MiB; `wrong` in words, empty when all is well."""

    name: str
    executions: int
    seeded: int
    covered: int
    memory: int
    findings: tuple[Path, ...]
    wrong: tuple[str, ...]
    tail: str


def judge(name: str, log: str, code: int, wanted: Wanted, *, findings: Sequence[Path]) -> Result:
    """libFuzzer's report, the process' exit code and the inputs it left -> what came of it."""
    executions, seeded, covered = (_last(pattern, log) for pattern in (_EXECUTED, _SEEDED, _COVERED))
    found = tuple(path for path in findings if not path.name.startswith(_SLOW))
    wrong = [f"finding: {path}" for path in found]
    if code != 0 and not found:
        wrong.append("it did not end by itself" if code < 0 else f"it ended with exit code {code}")
    if code == 0 and executions < wanted.executions:
        wrong.append(f"only {executions} executions, want {wanted.executions}: the run proves nothing")
    if code == 0 and wanted.growth and covered <= seeded:
        wrong.append(f"no coverage beyond the seeds' ({seeded} edges): the run proves nothing")
    return Result(
        name=name,
        executions=executions,
        seeded=seeded,
        covered=covered,
        memory=_last(_MEMORY, log),
        findings=found,
        wrong=tuple(wrong),
        tail="\n".join(log.splitlines()[-_TAIL:]) if wrong else "",
    )


def table(results: Iterable[Result], seconds: int) -> Iterator[str]:
    """A line for each target, then what is wrong with those that failed."""
    results = list(results)
    yield f"{'target':<12} {'executions':>10} {'per second':>10} {'edges':>6} {'of seeds':>8} {'MiB':>5}"
    for each in results:
        rate = each.executions / seconds
        line = (
            f"{each.name:<12} {each.executions:>10} {rate:>10.0f} {each.covered:>6} {each.seeded:>8} {each.memory:>5}"
        )
        yield line + ("  FAILED" if each.wrong else "")
    for each in results:
        if each.wrong:
            yield f"\n{each.name}:\n{each.tail}\n" + "\n".join(f"{each.name}: {what}" for what in each.wrong)
            yield from (f"  again: python -m tests.fuzz.run --replay {path} {each.name}" for path in each.findings)
            yield from (f"  the same in base64, compressed: {text}" for text in map(_as_text, each.findings) if text)


def _as_text(path: Path) -> str:
    """An input for those who have a log of CI alone; nothing when it is too large for one."""
    text = base64.b64encode(zlib.compress(path.read_bytes(), 9)).decode()
    return text if len(text) <= _TEXT else ""


def _last(pattern: re.Pattern[str], log: str) -> int:
    found = pattern.findall(log)
    return int(found[-1]) if found else 0
