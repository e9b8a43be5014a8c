"""A build is told the same way to people, logs and machines; steps that run side by side never mix their lines."""

import io
import json
import threading
from collections.abc import Callable

import pytest

from builder.progress import BuildTalk, JsonTalk, PlainTalk, RichTalk, SilentTalk, make_talk


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def clock() -> float:
    return 0.0


def tell_all(talk: BuildTalk) -> None:
    talk.say("plan: x")
    talk.begin("component a", 5)
    talk.end("component a", 4.25, ok=True)
    talk.begin("component b", 7)
    talk.end("component b", 0.5, ok=False)
    talk.bytes.begin("checking x.tar", 10)
    talk.bytes.advance(10)
    talk.bytes.end()
    talk.close()


def test_plain_lines_name_each_step_its_estimate_and_its_end() -> None:
    out = io.StringIO()
    tell_all(PlainTalk(out, clock))
    lines = out.getvalue().splitlines()
    assert lines[:5] == [
        "plan: x",
        "begin component a (about 5 s)",
        "done   component a in 4.2 s",
        "begin component b (about 7 s)",
        "FAILED component b in 0.5 s",
    ]
    assert "checking x.tar" in lines[5]


def test_json_lines_are_one_object_each() -> None:
    out = io.StringIO()
    tell_all(JsonTalk(out, clock))
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert records[0] == {"event": "say", "text": "plan: x"}
    assert records[2] == {"event": "step-end", "step": "component a", "seconds": 4.25, "ok": True}
    assert records[4]["ok"] is False
    assert records[-1] == {"event": "end", "name": "checking x.tar", "done": 10, "total": 10}


@pytest.mark.parametrize("make", [PlainTalk, JsonTalk])
def test_lines_of_steps_that_run_side_by_side_stay_whole(make: Callable[[io.StringIO, object], BuildTalk]) -> None:
    out = io.StringIO()
    talk = make(out, clock)

    def work(word: str) -> None:
        for _ in range(200):
            talk.say(word * 20)

    threads = [threading.Thread(target=work, args=(word,)) for word in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = out.getvalue().splitlines()
    assert len(lines) == 600
    assert all(any(word * 20 in line for word in "abc") for line in lines)


def test_the_live_display_leaves_the_ends_of_steps_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    tell_all(RichTalk())
    said = capfd.readouterr()
    assert said.out == ""
    assert "done   component a" in said.err and "FAILED component b" in said.err


def test_auto_is_live_on_a_terminal_and_plain_in_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    live = make_talk("auto", Terminal(), clock)
    live.close()
    assert isinstance(live, RichTalk)
    assert isinstance(make_talk("auto", io.StringIO(), clock), PlainTalk)
    assert isinstance(make_talk("plain", Terminal(), clock), PlainTalk)
    assert isinstance(make_talk("json", Terminal(), clock), JsonTalk)
    assert isinstance(make_talk("none", Terminal(), clock), SilentTalk)
