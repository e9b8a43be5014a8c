"""Clocks of two machines, compared: certificates begin and end, and nobody understands the refusals of a wrong clock.

A machine that joins says its time with its first question, and hears the server's in the answer (HTTP's Date). Pure.
"""

from email.utils import parsedate_to_datetime
from typing import Final

HEADER: Final = "sealift-time"  # epoch seconds
TOLERABLE: Final = 300  # seconds
_UNITS: Final = ((86_400, "days"), (3600, "hours"), (60, "minutes"))


def difference(ours: float, theirs: float) -> str:
    """Epoch seconds of this machine and of another -> `3.0 days behind` or `ahead of`, as this one is; empty: near."""
    off = theirs - ours
    if abs(off) <= TOLERABLE:
        return ""
    size, unit = next(row for row in _UNITS if abs(off) >= row[0])
    return f"{abs(off) / size:.1f} {unit} {'behind' if off > 0 else 'ahead of'}"


def read_header(text: str) -> int | None:
    """What a machine said; None for what is no time."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def read_date(text: str) -> float | None:
    """HTTP's Date (RFC 9110, 5.6.7) -> epoch seconds; None for what is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
