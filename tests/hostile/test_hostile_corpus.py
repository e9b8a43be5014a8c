"""Each attack of the corpus, carried out once in a child process: refused, told well, and nothing left behind."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import FormatError
from tests.hostile.attack_runner import ADDRESS_SPACE, carry_out
from tests.hostile.corpus import ATTACKS
from tests.hostile.corpus_model import MAX_MEMORY, MAX_SECONDS, Attack, Place, names
from tests.hostile.rules import PAGE, RULES, page

ROOT = Path(__file__).resolve().parents[2]
PROCESS = 64 << 20  # bytes that a command weighs before it reads anything
Outcomes = Mapping[str, dict[str, Any]]


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """One run for all workers of a test run: the first carries out the corpus, the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    out = shared / "hostile.jsonl"
    with (shared / "hostile.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            _run(shared / "hostile", out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {line["name"]: line for line in lines if "name" in line}


def _run(folder: Path, out: Path) -> None:
    """An attack that kills the child leaves the rows so far; the tests of the others then say which it was."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.hostile.attack_runner", str(folder), f"{out}.part"]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    with (out.with_suffix(".log")).open("wb") as log:
        subprocess.run(command, cwd=ROOT, env=environment, stderr=log, timeout=900, check=False)
    shutil.rmtree(folder)
    os.rename(f"{out}.part", out)


@pytest.mark.parametrize("attack", ATTACKS, ids=names(ATTACKS))
def test_an_attack_is_refused_with_the_right_words_and_leaves_nothing(attack: Attack, outcomes: Outcomes) -> None:
    outcome = outcomes.get(attack.name)
    assert outcome is not None, "the child ended before or in this attack"
    text = outcome["text"]
    assert outcome["right_class"], f"want {attack.error.__name__}, got {outcome['error']}: {text}"
    assert re.search(attack.words, text), text
    assert outcome["has_place"], f"says no place: {text}"
    assert all(char.isprintable() or char == "\n" for char in text), f"could steer a terminal: {text!r}"
    assert outcome["changed"] == [], "changed what is none of the reader's business"
    assert outcome["left"] == [], "left something in the given folder"
    assert outcome["memory"] + PROCESS <= MAX_MEMORY, f"{outcome['memory'] >> 20} MB"
    assert outcome["seconds"] <= MAX_SECONDS  # the runner's alarm ended it otherwise


def _writes_outside(place: Place) -> None:
    (place.canary / "secret").write_text("changed")
    (place.given / "half").write_text("x")
    raise FormatError("refused \x1b[2J, but too late")


def test_the_runner_sees_what_is_taken_written_and_left(tmp_path: Path) -> None:
    """Else the rows above would prove nothing."""
    taken = carry_out(Attack("taken", "", lambda place: None, lambda place: None, "."), tmp_path / "1")
    assert taken.error == "accepted" and not taken.right_class
    late = carry_out(Attack("late", "", lambda place: None, _writes_outside, "."), tmp_path / "2")
    assert late.changed == ["canary/secret"] and late.left == ["half"] and not late.has_place
    greedy = carry_out(
        Attack("greedy", "", lambda place: None, lambda place: bytearray(200 << 20), "."), tmp_path / "3"
    )
    assert greedy.memory >= 190 << 20


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len(ATTACKS) >= 250
    assert not [name for name, count in Counter(names(ATTACKS)).items() if count > 1]
    assert ADDRESS_SPACE > MAX_MEMORY


def test_every_rule_has_attacks_and_every_attack_a_rule() -> None:
    ruled = {group for _, _, groups in RULES for group in groups}
    assert ruled == {attack.rule for attack in ATTACKS}


def test_the_page_of_refusals_is_the_corpus() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.hostile.rules"
