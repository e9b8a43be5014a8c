"""When a request is tried again, and how long to wait before. Pure: times come in as numbers."""

import email.utils
from typing import Final

RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
BUSY: Final = frozenset({429, 503})  # fewer requests at once would help
TRIES: Final = 8  # of one request that brings nothing
_FIRST: Final = 0.5  # seconds
_LONGEST: Final = 20.0
PATIENCE: Final = 120.0  # seconds that a registry may ask us to wait


def backoff(failures: int, jitter: float) -> float:
    """Seconds before the next try: doubled each time, spread by `jitter` (0 to 1) over its upper half.

    The first try after a break comes at once: mostly an idle connection was closed while we looked away.
    """
    if failures <= 1:
        return 0.0
    full = min(_LONGEST, _FIRST * 2.0 ** min(failures - 2, 16))
    return full * (0.5 + jitter / 2)


def retry_after(header: str | None, now: float) -> float | None:
    """`Retry-After` (RFC 9110 10.2.3: seconds, or a date) -> seconds from `now` (since the epoch); None: says nothing.

    What cannot be read says nothing; it is advice, and ours does as well.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError, TypeError):
        return None
