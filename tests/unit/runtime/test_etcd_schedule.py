"""Cron's words as times."""

from datetime import datetime

import pytest

from runtime.etcd.schedule import parse_schedule

NOW = datetime(2026, 2, 27, 13, 5, 30)  # a Friday


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0 */12 * * *", ["2026-02-28T00:00", "2026-02-28T12:00"]),
        ("*/15 * * * *", ["2026-02-27T13:15", "2026-02-27T13:30"]),
        ("5 13 * * *", ["2026-02-28T13:05", "2026-03-01T13:05"]),
        ("0 0 29 2 *", ["2028-02-29T00:00"]),
        ("30 6 * * mon-fri", ["2026-03-02T06:30", "2026-03-03T06:30"]),
        ("0 0 1 * sun", ["2026-03-01T00:00", "2026-03-08T00:00"]),
        ("0 0 13 * fri", ["2026-03-06T00:00", "2026-03-13T00:00"]),
        ("0 1-3/2,22 * jan,Dec *", ["2026-12-01T01:00", "2026-12-01T03:00", "2026-12-01T22:00"]),
        ("@daily", ["2026-02-28T00:00"]),
        ("@hourly", ["2026-02-27T14:00"]),
    ],
)
def test_the_next_times_are_crons(text: str, times: list[str]) -> None:
    schedule, now, found = parse_schedule(text), NOW, []
    for _ in times:
        after = schedule.after(now)
        assert after is not None
        now = after
        found.append(now.isoformat(timespec="minutes"))
    assert found == times


def test_a_day_that_never_comes_is_never() -> None:
    assert parse_schedule("0 0 30 2 *").after(NOW) is None


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "*/0 * * * *", "5-1 * * * *", "a * * * *", "٣ * * * *", "* * * 13 *"],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        parse_schedule(text)
