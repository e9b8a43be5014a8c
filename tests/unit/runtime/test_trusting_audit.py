"""The audit log: what was decided cannot be changed, dropped or cut without the log telling."""

import stat
from pathlib import Path

import pytest

from bundles.errors import FormatError, SealiftError
from runtime.trusting import audit


def filled(path: Path, count: int = 3) -> list[audit.Head]:
    return [
        audit.append(path, at=100 + i, event="stage", result="admitted", details={"bundle": f"b{i}"})
        for i in range(count)
    ]


def test_a_log_tells_its_decisions_in_order(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    heads = filled(path)
    assert [entry.details["bundle"] for entry in audit.read(path)] == ["b0", "b1", "b2"]
    assert audit.head(path) == heads[-1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_log_is_an_empty_one(tmp_path: Path) -> None:
    assert audit.read(tmp_path / "none") == []
    assert audit.head(tmp_path / "none") == audit.EMPTY


@pytest.mark.parametrize("line", [0, 1])
def test_a_changed_line_breaks_the_chain(tmp_path: Path, line: int) -> None:
    path = tmp_path / "audit.jsonl"
    filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"admitted", b"refused_")
    path.write_bytes(b"".join(lines))
    with pytest.raises(FormatError, match="a broken link"):
        audit.read(path)


@pytest.mark.parametrize("order", [[0, 2], [1, 2], [0, 2, 1], [0, 1, 1, 2]])
def test_a_dropped_swapped_or_doubled_line_breaks_the_chain(tmp_path: Path, order: list[int]) -> None:
    path = tmp_path / "audit.jsonl"
    filled(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[i] for i in order))
    with pytest.raises(FormatError, match="a broken link"):
        audit.read(path)


def test_nothing_is_added_to_a_log_that_somebody_changed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    filled(path)
    changed = path.read_bytes().replace(b'"b1"', b'"bX"')
    path.write_bytes(changed)
    with pytest.raises(FormatError, match="a broken link"):
        filled(path, 1)
    assert path.read_bytes() == changed


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_cut_end_is_noticed_by_what_the_node_remembers(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "audit.jsonl"
    last = filled(path)[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:kept]))
    with pytest.raises(SealiftError, match="cut or replaced"):
        audit.check_end(audit.head(path), last, where=path)


def test_a_rewritten_last_line_is_noticed_by_what_the_node_remembers(tmp_path: Path) -> None:
    path, other = tmp_path / "audit.jsonl", tmp_path / "other.jsonl"
    last = filled(path)[-1]
    audit.append(other, at=1, event="stage", result="refused", details={})
    filled(other, 2)
    with pytest.raises(SealiftError, match="cut or replaced"):
        audit.check_end(audit.head(other), last, where=path)


def test_a_log_that_was_rewritten_and_made_longer_is_noticed(tmp_path: Path) -> None:
    path, other = tmp_path / "audit.jsonl", tmp_path / "other.jsonl"
    last = filled(path)[-1]
    audit.append(other, at=1, event="stage", result="refused", details={})
    filled(other, 5)
    with pytest.raises(SealiftError, match="cut or replaced"):
        audit.check(other, last)
    filled(path, 2)
    audit.check(path, last)


def test_a_log_that_is_ahead_of_the_memory_is_fine(tmp_path: Path) -> None:
    """A power cut between the two writes leaves this."""
    path = tmp_path / "audit.jsonl"
    heads = filled(path)
    audit.check_end(audit.head(path), heads[0], where=path)


def test_a_line_that_a_power_cut_tore_is_cut_off_and_said(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    filled(path, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"at":1,"ev')
    assert len(audit.read(path)) == 2
    filled(path, 1)
    assert path.read_bytes().startswith(whole)
    assert "11 bytes" in audit.read(path)[-1].details["torn"]


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    (tmp_path / "audit.jsonl").symlink_to(target)
    with pytest.raises(SealiftError):
        filled(tmp_path / "audit.jsonl", 1)
    assert not target.exists()
