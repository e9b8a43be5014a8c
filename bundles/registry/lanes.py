"""How many requests to one host are under way at once: half as many when it is too much for it, slowly more again.

As TCP does it (additive increase, multiplicative decrease): a registry behind a limit gets what it can bear, and not
eight threads that wait and come back together.
"""

import threading
from typing import Final

from bundles.registry.wire import Check

_SLICE: Final = 0.2  # seconds until a thread that was called off notices


class Lanes:
    """For any thread."""

    def __init__(self, most: int, first: int | None = None) -> None:
        """`most` requests to one host, `first` to one that has not said yet that it can bear more; None: as many."""
        self._most, self._first = most, first or most
        self._change = threading.Condition()
        self._hosts: dict[str, _Host] = {}

    def enter(self, origin: str, check: Check) -> "Lane":
        """Waits until one more request to this host may be sent; `check` raises when it is called off."""
        with self._change:
            host = self._hosts.setdefault(origin, _Host(self._first))
            while host.used >= host.limit:
                check()
                self._change.wait(_SLICE)
            host.used += 1
            return Lane(host, self._change, self._most)

    def limit(self, origin: str) -> int:
        """How many there may be now."""
        host = self._hosts.get(origin)
        return host.limit if host else self._first


class _Host:
    def __init__(self, limit: int) -> None:
        self.limit, self.used, self.good, self.cuts = limit, 0, 0, 0


class Lane:
    """One request's place; to be left once its answer is used up."""

    def __init__(self, host: _Host, change: threading.Condition, most: int) -> None:
        """See Lanes.enter."""
        self._host, self._change, self._most = host, change, most
        self._cuts = host.cuts
        self._left = False

    def busy(self) -> None:
        """The host said that it has too much to do. What was sent before its last such word says nothing new."""
        with self._change:
            if self._cuts == self._host.cuts:
                self._host.limit = max(1, self._host.limit // 2)
                self._host.cuts += 1
                self._host.good = 0

    def good(self) -> None:
        """It answered; after as many good answers as there may be requests, there may be one more.

        One more for each, to a host that was never busy (TCP's slow start).
        """
        with self._change:
            self._host.good += 1
            enough = self._host.good >= self._host.limit or not self._host.cuts
            if enough and self._host.limit < self._most:
                self._host.limit += 1
                self._host.good = 0
                self._change.notify_all()

    def leave(self) -> None:
        """Once or more often."""
        with self._change:
            if not self._left:
                self._left = True
                self._host.used -= 1
                self._change.notify_all()
