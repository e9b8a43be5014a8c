import io
import json
from collections.abc import Callable

import pytest

from bundles.errors import MissingError, Problem, ProblemsError, TrustError, UsageError
from bundles.talk import (
    PlainProgress,
    ProgressMode,
    TerminalProgress,
    error_json,
    error_text,
    exit_code,
    human_bytes,
    make_progress,
)


def ticking(step: float) -> Callable[[], float]:
    now = iter(range(1000))
    return lambda: next(now) * step


def test_plain_progress_tells_the_beginning_and_then_only_every_few_seconds() -> None:
    out = io.StringIO()
    progress = PlainProgress(out, ticking(1.0))
    progress.begin("checking a.tar", 2_000_000)
    for _ in range(10):
        progress.advance(200_000)
    progress.end()
    lines = out.getvalue().splitlines()
    assert lines[0] == "checking a.tar (2.0 MB)"
    assert 1 <= len(lines) - 1 <= 3
    assert lines[1].startswith("checking a.tar: ")


def test_terminal_progress_keeps_one_line_per_piece_also_when_it_broke_off() -> None:
    out = io.StringIO()
    progress = TerminalProgress(out, ticking(1.0))
    progress.begin("one", 10)
    progress.advance(5)
    progress.begin("two", None)
    progress.advance(5)
    progress.end()
    assert out.getvalue().count("\n") == 2
    assert "one: 50% of 10 B\n" in out.getvalue()
    assert out.getvalue().endswith("two: 5 B\n")


def test_json_progress_is_one_object_a_line() -> None:
    out = io.StringIO()
    progress = make_progress("json", out, ticking(1.0))
    progress.begin("x", 3)
    progress.advance(3)
    progress.end()
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["begin", "advance", "end"]
    assert events[-1] == {"event": "end", "name": "x", "done": 3, "total": 3}


@pytest.mark.parametrize(("mode", "says"), [("none", False), ("auto", True), ("plain", True)])
def test_modes_choose_printers_and_auto_is_plain_where_there_is_no_terminal(mode: ProgressMode, says: bool) -> None:
    out = io.StringIO()
    progress = make_progress(mode, out, ticking(0.0))
    progress.begin("x", 3)
    progress.end()
    assert bool(out.getvalue()) is says
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (999_960, "1.0 MB"), (2 * 10**15, "2000.0 TB")]
)
def test_sizes_are_decimal_and_short(count: int, text: str) -> None:
    assert human_bytes(count) == text


def test_exit_codes_are_those_of_the_error_classes() -> None:
    codes = [
        exit_code(e) for e in (MissingError("x"), UsageError("x"), TrustError("x"), KeyboardInterrupt(), KeyError())
    ]
    assert codes == [1, 2, 3, 130, 1]


def test_errors_read_the_same_for_people_and_machines() -> None:
    error = MissingError("no such image", where="a.tar", want="x", hint="copy it")
    assert error_text(error) == "error: a.tar: no such image\n  want: x\n  do: copy it"
    told = {"message": "no such image", "where": "a.tar", "want": "x", "hint": "copy it"}
    assert error_json(error) == {"error": told, "exit_code": 1}


def test_our_own_bugs_say_so_without_a_traceback() -> None:
    assert error_text(ValueError("odd")).startswith("error: ValueError: odd\n  do: this is a bug")
    assert error_json(ValueError("odd"))["exit_code"] == 1


def test_what_the_system_refuses_is_no_bug_of_ours() -> None:
    assert error_text(PermissionError(13, "Permission denied", b"/x/y")) == "error: /x/y: Permission denied"


def test_all_problems_of_a_document_reach_the_machine_too() -> None:
    error = ProblemsError(
        "recipe.yaml", [Problem(where="recipe.yaml:1:a", message="bad"), Problem(where="b", message="c")]
    )
    assert [p["where"] for p in error_json(error)["error"]["problems"]] == ["recipe.yaml:1:a", "b"]
