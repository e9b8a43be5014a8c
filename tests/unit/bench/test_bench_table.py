"""The bench's own table: a figure that misses its bound is said to, in words and in the exit code."""

import json
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from bench import run
from bench.model import Figure, Sample, fastest
from bench.timing import Bench, BenchError


def figure(value: float, reach: str = "<=") -> Figure:
    assert reach in ("<=", ">=")
    return Figure(
        what="a thing",
        value=value,
        unit="x",
        reach="<=" if reach == "<=" else ">=",
        bound=1.1,
        ours="1 s",
        theirs="2 s",
    )


@pytest.mark.parametrize(("value", "reach", "met"), [(1.1, "<=", True), (1.2, "<=", False), (1.0, ">=", False)])
def test_a_bound_has_a_direction(value: float, reach: str, met: bool) -> None:
    assert figure(value, reach).met is met


def test_a_missed_figure_is_named_and_fails_a_strict_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(bench: Bench) -> Iterable[Figure]:
        assert bench.scratch.is_dir()
        yield figure(7.0)

    monkeypatch.setattr(run, "MEASURES", {"slow": measure})
    arguments = ["slow", "--bundle", str(tmp_path), "--scratch", str(tmp_path), "--report", str(tmp_path / "b.json")]
    assert run.main(arguments) == 0
    assert run.main([*arguments, "--strict"]) == 1
    assert "| a thing | 7.00x | <= 1.1x | 1 s | 2 s | not reached |" in capsys.readouterr().out
    assert json.loads((tmp_path / "b.json").read_text())["figures"][0]["met"] is False


def test_a_failing_command_is_never_a_fast_one(tmp_path: Path) -> None:
    bench = Bench(root=tmp_path, programs=tmp_path, bundle=tmp_path, scratch=tmp_path)
    with pytest.raises(BenchError, match="no such luck"):
        bench.run([sys.executable, "-c", "raise SystemExit('no such luck')"])


def test_memory_of_a_command_is_measured_in_bytes(tmp_path: Path) -> None:
    bench = Bench(root=tmp_path, programs=tmp_path, bundle=tmp_path, scratch=tmp_path)
    sample = bench.run([sys.executable, "-c", "x = b'x' * 300_000_000"])
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # the child counts from fork(2) on
    assert 300_000_000 < sample.peak_bytes < 900_000_000 + own


def test_the_fastest_run_counts() -> None:
    slow, fast = (Sample(seconds=s, cpu_seconds=0, peak_bytes=0) for s in (2.0, 1.0))
    assert fastest([slow, fast]) is fast
