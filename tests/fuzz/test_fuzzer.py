"""The fuzzer itself: bugs that were planted are found, and a run that proves nothing fails."""

import base64
import importlib
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.fuzz import modes, run
from tests.fuzz.model import taken
from tests.fuzz.planted.words import RudeError

ROOT = Path(__file__).resolve().parents[2]
# Planted bug -> what the runner must say of it.
PLANTED = {
    "crash": "finding",
    "hang": "finding",
    "memory": "finding",
    "words": "finding",
    "blind": "no coverage beyond the seeds",
    "slow": "executions, want",
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_fails_the_run(bug: str, tmp_path: Path) -> None:
    (result,) = run.fuzz([f"tests.fuzz.planted.{bug}"], 12 if bug == "hang" else 5, tmp_path)
    assert result.wrong and PLANTED[bug] in result.wrong[0], result
    for finding in result.findings:
        assert finding.parent == tmp_path / bug / "findings" and finding.stat().st_size


def test_the_input_of_a_finding_fails_again_without_instruments(tmp_path: Path) -> None:
    (result,) = run.fuzz(["tests.fuzz.planted.crash"], 5, tmp_path)
    with pytest.raises(KeyError, match="planted"):
        run.target("tests.fuzz.planted.crash").read(result.findings[0].read_bytes())


def test_a_run_that_finds_something_ends_with_1_and_says_how_to_see_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "TARGETS", "tests.fuzz.planted")
    monkeypatch.setattr(run, "known", lambda: ["crash"])
    assert run.main(["--seconds", "5", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "FAILED" in said and "KeyError: 'planted'" in said and "--replay" in said
    text = said.partition("in base64, compressed: ")[2].split()[0]
    (finding,) = (tmp_path / "crash/findings").iterdir()
    assert zlib.decompress(base64.b64decode(text)) == finding.read_bytes()


@pytest.mark.parametrize("name", run.known())
def test_every_seed_is_taken_or_refused_and_some_of_each_reader_are_taken(name: str) -> None:
    """A seed that nobody takes leads nowhere: fuzzing would stop at the door."""
    module = importlib.import_module(f"{run.TARGETS}.{name}")
    taken_by = {seed[0] for seed in module.TARGET.seeds() if module.TARGET.read(seed)}
    assert taken_by == set(range(len(module.READERS)))


def test_words_for_terminals_are_plain() -> None:
    def refuse(got: str) -> None:
        raise RudeError(got)

    assert taken(refuse, "plain\ntext") is None
    for bad in ("", "\x1b[2J", "\x07", "\x9b", "\ud800"):
        with pytest.raises((AssertionError, UnicodeEncodeError)):
            taken(refuse, bad)


def test_a_reader_without_a_seed_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        list(modes.seeds({"one": bool}, {}))


def test_what_the_starter_weighs_does_not_count_as_the_target_s(tmp_path: Path) -> None:
    """A test worker of 763 MB made every target run out of memory."""
    script = (
        "import sys; from pathlib import Path; from tests.fuzz import run; ballast = b'x' * 700_000_000;"
        f"(result,) = run.fuzz(['tests.fuzz.targets.json'], 3, Path({str(tmp_path)!r})); print(result.memory)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 450
