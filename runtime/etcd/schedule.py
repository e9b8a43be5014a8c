"""When snapshots are taken: cron's five fields, as robfig/cron (which k3s uses) reads them. Pure.

`MINUTE HOUR DAY MONTH WEEKDAY`, each `*`, a number, a range, a step or a list of these; `@hourly` and its like. As in
cron, a day counts when either the day or the weekday fits, once both are restricted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_FIELDS: Final = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6))
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: Final = {
    "month": {name: n for n, name in enumerate(_MONTHS, 1)},
    "weekday": {n: i for i, n in enumerate(_DAYS)},
}
_SHORT: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_HORIZON: Final = 366 * 5  # days; 29 February comes within


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """The minutes, hours, days, months and weekdays (0: Sunday) that count; `either`: both kinds of days are named."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def after(self, now: datetime) -> datetime | None:
        """The next time later than `now`, in the same kind of time; None when there is none (30 February)."""
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(_HORIZON):
            if self._counts(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        found = day.replace(hour=hour, minute=minute)
                        if found > now:
                            return found
            day += timedelta(days=1)
        return None

    def _counts(self, day: datetime) -> bool:
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        fits = (of_month or of_week) if self.either else (of_month and of_week)
        return fits and day.month in self.months


def parse_schedule(text: str) -> Schedule:
    """Cron's text -> Schedule. Raises ValueError, in words."""
    fields = _SHORT.get(text.strip().lower(), text).split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{text!r} is not five fields: minute, hour, day, month, weekday")
    sets = [_field(field, *limits) for field, limits in zip(fields, _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = sets
    either = not (fields[2].startswith(("*", "?")) or fields[4].startswith(("*", "?")))
    return Schedule(minutes=minutes, hours=hours, days=days, months=months, weekdays=weekdays, either=either)


def _field(text: str, name: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        body, slash, step_text = part.partition("/")
        step = _number(step_text, {}, name) if slash else 1
        if step < 1:
            raise ValueError(f"{text!r} is not a {name}")
        names = _NAMES.get(name, {})
        if body in ("*", "?"):
            first, last = least, most
        else:
            begin, hyphen, end = body.partition("-")
            first = _number(begin, names, name)
            last = _number(end, names, name) if hyphen else most if slash else first
        if not least <= first <= last <= most:
            raise ValueError(f"{text!r} is not a {name} between {least} and {most}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, names: dict[str, int], field: str) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise ValueError(f"{text!r} is not a {field}")
    return int(text)
