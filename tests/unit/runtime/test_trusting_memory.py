"""What a node remembers: an old bundle, an old policy and an old clock are not new again."""

from pathlib import Path

import pytest

from bundles.errors import FormatError
from bundles.policy.judge import Claims
from runtime.trusting import memory
from runtime.trusting.memory import Memory

LINE = memory.line_of(name="rke2", flavour="classic", platform="linux/amd64")


def claims(sequence: int = 5, created: int = 1000) -> Claims:
    return Claims(name="rke2-v1-classic-linux-amd64", sequence=sequence, created=created, expires=None)


def test_a_replayed_older_bundle_is_a_step_back() -> None:
    remembered = Memory().admitted(LINE, claims(5), now=2000, trusted=True)
    refusal = memory.rollback(remembered, LINE, claims(4))
    assert refusal is not None and refusal.override and refusal.want == ">= 5"


def test_the_same_bundle_again_is_no_step_back() -> None:
    remembered = Memory().admitted(LINE, claims(5), now=2000, trusted=True)
    assert memory.rollback(remembered, LINE, claims(5)) is None


def test_other_lines_are_numbered_apart() -> None:
    remembered = Memory().admitted(LINE, claims(5), now=2000, trusted=True)
    other = memory.line_of(name="rke2", flavour="modern", platform="linux/amd64")
    assert memory.rollback(remembered, other, claims(1)) is None


def test_a_stranger_with_a_huge_sequence_locks_nobody_out() -> None:
    remembered = Memory().admitted(LINE, claims(2**60, created=2**40), now=2000, trusted=False)
    assert memory.rollback(remembered, LINE, claims(1)) is None
    assert remembered.time(2000) == 2000


@pytest.mark.parametrize("now", [0, 1999])
def test_a_clock_set_back_does_not_turn_time_back(now: int) -> None:
    remembered = Memory().admitted(LINE, claims(created=1000), now=2000, trusted=True)
    assert remembered.time(now) == 2000


def test_a_clock_without_battery_counts_from_the_newest_signed_document() -> None:
    remembered = Memory().admitted(LINE, claims(created=1_700_000_000), now=12, trusted=True)
    assert remembered.time(20) == 1_700_000_000
    assert "behind" in (memory.clock_warning(remembered, 20) or "")


def test_a_slow_clock_is_not_worth_a_word() -> None:
    remembered = Memory().admitted(LINE, claims(), now=2000, trusted=True)
    assert memory.clock_warning(remembered, 2000 - memory.CLOCK_SLACK) is None


def test_an_administrator_who_insists_sets_sequence_and_clock_anew() -> None:
    remembered = Memory().admitted(LINE, claims(9, created=9_000), now=9_999, trusted=True)
    after = remembered.overruled(LINE, claims(3, created=100), now=500)
    assert memory.rollback(after, LINE, claims(3)) is None
    assert after.time(500) == 500


def test_a_memory_survives_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    remembered = Memory().admitted(LINE, claims(9), now=9_999, trusted=True)
    memory.write(tmp_path / "memory.json", remembered)
    assert memory.read(tmp_path / "memory.json") == remembered
    assert (tmp_path / "memory.json").stat().st_mode & 0o777 == 0o600


def test_a_node_without_memory_begins_with_none(tmp_path: Path) -> None:
    assert memory.read(tmp_path / "none") == Memory()


@pytest.mark.parametrize("data", [b"", b"{}garbage", b'{"sequences":{"a":"1"}}', b'{"format":"2.0"}'])
def test_a_memory_that_cannot_be_read_is_no_empty_one(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "memory.json").write_bytes(data)
    with pytest.raises(FormatError):
        memory.read(tmp_path / "memory.json")
