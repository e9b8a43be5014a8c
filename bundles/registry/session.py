"""One request made to succeed: with credentials, again after breaks and busy answers, its failure put into words."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from bundles.errors import MissingError, SealiftError, printable
from bundles.registry import retry
from bundles.registry import url as urls
from bundles.registry.lanes import Lanes
from bundles.registry.place import Endpoint
from bundles.registry.timing import Timing
from bundles.registry.tokens import PULL, Tokens, TokenServerBusy
from bundles.registry.transport import CONNECTIONS, FIRST, Answer, Transport
from bundles.registry.wire import Body, Broken, Check

_MAX_ERROR: Final = 64 << 10  # bytes of an error's body
_REFUSED: Final = 2  # tokens, asked for by one request for itself, that may be refused before its last try
_SHOWN: Final = 300  # characters of a registry's own words


def no_check() -> None:
    """For callers that cannot be called off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A request: `url` absolute; `ok` the statuses the caller can use; `body` is made anew for each try.

    `scopes`: further scopes for its token. `patient` False: a busy answer comes back at once as an error.
    """

    method: str
    url: str
    where: object
    ok: Sequence[int] = (200,)
    actions: str = PULL
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: Callable[[], Body] | None = None
    scopes: Sequence[str] = ()


class Patience:
    """Counts the failures of one piece of work, and waits between its tries; `progress` forgives what was before."""

    def __init__(self, session: "Session", origin: str, where: object, check: Check, tries: int) -> None:
        """See Session.patience."""
        self._tries = tries
        self._session, self._origin, self._where, self._check = session, origin, where, check
        self._failures = 0

    def progress(self) -> None:
        """Something new arrived."""
        self._failures = 0

    def wait(self, reason: str, *, retry_after: str | None = None, fatal: bool = False, busy: bool = False) -> None:
        """After a failure: waits as long as it should; raises SealiftError when there is no use in trying again."""
        timing = self._session.timing
        self._failures += 1
        seconds = retry.backoff(self._failures + busy, timing.jitter())
        advice = retry.retry_after(retry_after, timing.wall()) if retry_after else None
        if advice is not None and advice > retry.PATIENCE:
            hint = "run the same command again then: what is done is kept"
            raise SealiftError(f"{reason}, and asks to wait {advice:.0f} s", where=self._where, hint=hint)
        if fatal or self._failures >= self._tries:
            tried = f", {self._failures} times" if self._failures > 1 else ""
            raise SealiftError(f"{reason}{tried}", where=self._where)
        seconds = max(seconds, advice or 0.0)
        if busy:
            self._session.hold(self._origin, seconds)
        timing.pause(seconds, self._check)


class Session:
    """Requests to registries; for any thread."""

    def __init__(self, transport: Transport, tokens: Tokens, timing: Timing) -> None:
        """Takes what it works with."""
        self._transport, self._tokens, self.timing = transport, tokens, timing
        self._lock = threading.Lock()
        self._held: dict[str, float] = {}  # origin -> when it may be asked again
        self._answered: set[str] = set()
        self._lanes = Lanes(CONNECTIONS, FIRST)

    def patience(self, url: str, where: object, check: Check, tries: int = retry.TRIES) -> Patience:
        """For one piece of work at the host of `url`; `tries` that may fail one after the other."""
        return Patience(self, _origin(url), where, check, tries)

    def hold(self, origin: str, seconds: float) -> None:
        """No thread asks this host before: it said that it has too much to do."""
        with self._lock:
            self._held[origin] = max(self._held.get(origin, 0.0), self.timing.monotonic() + seconds)

    def request(
        self, endpoint: Endpoint, ask: Ask, check: Check = no_check, patience: Patience | None = None
    ) -> Answer:
        """An answer with one of the statuses in `ask.ok`, its body unread; the caller closes it.

        Raises MissingError for 404, SealiftError for what else the registry says, or when it cannot be reached.
        """
        patience = patience or self.patience(ask.url, ask.where, check)
        used: str | None = None
        own: str | None = None  # what this request was given; what it took over from others may have ended meanwhile
        refused = 0
        while True:
            self._wait_for_host(ask.url, check)
            try:
                if urls.same_origin(ask.url, endpoint.origin):
                    used = self._tokens.header(endpoint, ask.actions, ask.scopes)
                answer = self._send(ask, used, check)
                if answer.status == 401 and refused < _REFUSED:
                    asked = answer.headers("WWW-Authenticate")
                    answer.close()
                    refused += used is not None and used == own
                    given = self._tokens.renew(endpoint, ask.actions, used, asked, ask.scopes)
                    own = given.header if given.new else own
                    continue
            except Broken as exc:
                fatal = exc.fatal or not (exc.connected or _origin(ask.url) in self._answered)
                patience.wait(exc.reason, fatal=fatal)
                continue
            except TokenServerBusy as exc:
                patience.wait(f"the token server answered {exc.status}", retry_after=exc.retry_after, busy=True)
                continue
            if answer.status in ask.ok:
                return answer
            self._judge(ask, answer, patience)

    def _send(self, ask: Ask, authorization: str | None, check: Check) -> Answer:
        headers = dict(ask.headers)
        if authorization is not None:
            headers["Authorization"] = authorization
        lane = self._lanes.enter(_origin(ask.url), check)
        try:
            body = ask.body() if ask.body else None
            answer = self._transport.send(ask.method, ask.url, headers, body, where=ask.where)
        except BaseException:
            lane.leave()
            raise
        answer.left = lane.leave
        (lane.busy if answer.status in retry.BUSY else lane.good)()
        self._answered.add(_origin(ask.url))
        return answer

    def _wait_for_host(self, url: str, check: Check) -> None:
        until = self._held.get(_origin(url), 0.0)
        self.timing.pause(until - self.timing.monotonic() if until else 0.0, check)

    def _judge(self, ask: Ask, answer: Answer, patience: Patience) -> None:
        """Of an answer that is not wanted: waits if it may become better, else raises it."""
        said = self._words(answer)
        if answer.status in retry.RETRIED:
            reason = f"the registry answered {answer.status}"
            patience.wait(reason + (f" ({said})" if said else ""), retry_after=answer.header("Retry-After"), busy=True)
            return
        if answer.status == 404:
            raise MissingError("not in the registry", where=ask.where, got=said)
        if answer.status in (401, 403):
            hint = "are the credentials right, and may they do this?"
            raise SealiftError("the registry refuses access", where=ask.where, got=said or answer.status, hint=hint)
        raise SealiftError(f"the registry answered {answer.status}", where=ask.where, got=said)

    def _words(self, answer: Answer) -> str:
        """The registry's own error codes and messages (distribution-spec "Error Codes"); bounded, nothing of ours."""
        try:
            data = answer.read(_MAX_ERROR)
        except (Broken, SealiftError):
            return ""
        finally:
            answer.close()
        try:
            plain: Any = json.loads(data)
            words = [f"{one.get('code', '')}: {one.get('message', '')}" for one in plain["errors"][:3]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return ""
        return printable(self._tokens.scrub("; ".join(words)))[:_SHOWN]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
