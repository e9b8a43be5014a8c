"""What a registry is shown: Basic credentials, or tokens by (host, repository, actions) from the server it names.

Token specification of distribution (GET with service and scope; POST for identity tokens). A token is used for the
endpoint it was given for and nothing else; credentials go to the realm that the registry itself names, over TLS
wherever the registry is behind TLS.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

from bundles.errors import FormatError, SealiftError
from bundles.registry import challenge
from bundles.registry import url as urls
from bundles.registry.credentials import Credentials
from bundles.registry.place import Endpoint, Repository
from bundles.registry.timing import Timing
from bundles.registry.transport import Transport

Keys = Callable[[Repository], Credentials | None]
PULL: Final = "pull"
PUSH: Final = "pull,push"
_MAX_ANSWER: Final = 128 << 10  # bytes
_MAX_TOKEN: Final = 32 << 10  # characters
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=:-]+")  # RFC 6750 b64token and what registries add: no line end, no blank
_DEFAULT_LIFE: Final = 60.0  # seconds, as the specification says
_LONGEST_LIFE: Final = 3600.0
_EVER: Final = float("inf")
_BASIC: Final = "basic"  # in place of actions: such a header serves all of them
_MARGIN: Final = 10.0  # seconds before the end at which a token is old

Slot = tuple[str, str, str]
"""Origin of the endpoint, its path, actions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    header: str = field(repr=False)
    until: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A header; `new`: it was asked for now, and not taken over from another thread."""

    header: str = field(repr=False)
    new: bool


class Tokens:
    """Headers by endpoint; for any thread."""

    def __init__(self, transport: Transport, keys: Keys, timing: Timing) -> None:
        """`keys` knows the user's credentials."""
        self._transport, self._keys, self._timing = transport, keys, timing
        self._lock = threading.Lock()
        self._locks: dict[Slot, threading.Lock] = {}
        self._held: dict[Slot, _Held] = {}
        self._secrets: set[str] = set()

    def header(self, endpoint: Endpoint, actions: str, more: Sequence[str] = ()) -> str | None:
        """The `Authorization` to send at once, None when nobody asked for one yet."""
        for slot in (_slot(endpoint, actions, more), _slot(endpoint, _BASIC)):
            held = self._held.get(slot)
            if held and self._timing.monotonic() < held.until:
                return held.header
        return None

    def renew(
        self, endpoint: Endpoint, actions: str, used: str | None, asked: Sequence[str], more: Sequence[str] = ()
    ) -> Given:
        """After a 401 to the header `used`: another one, by the challenges `asked`; raises SealiftError for none.

        `more`: further scopes (the repository that a blob is mounted from).
        """
        slot = _slot(endpoint, actions, more)
        with self._lock:
            lock = self._locks.setdefault(slot, threading.Lock())
        with lock:
            current = self.header(endpoint, actions, more)
            if current is not None and current != used:
                return Given(header=current, new=False)  # another thread was here before us
            held = self._answer(endpoint, actions, challenge.parse(asked, where=endpoint), used, more)
            self._held[_slot(endpoint, _BASIC) if held.until == _EVER else slot] = held
            return Given(header=held.header, new=True)

    def scrub(self, text: str) -> str:
        """A message of somebody else, without anything we must not show."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _answer(
        self, endpoint: Endpoint, actions: str, asked: Sequence[challenge.Challenge], used: str | None,
        more: Sequence[str],
    ) -> _Held:  # fmt: skip
        keys = self._keys(Repository(host=endpoint.host, path=endpoint.path))
        self._keep_secret(keys.secrets() if keys else ())
        for one in asked:
            if one.scheme == "bearer":
                scopes = [one.parameters.get("scope") or f"repository:{endpoint.path}:{actions}", *more]
                return self._token(endpoint, one, scopes, keys)
            if one.scheme == "basic" and keys is not None and not keys.identity and keys.basic != used:
                return _Held(header=keys.basic, until=_EVER)
        hint = f"log in with `docker login {endpoint.host}` or name a file in REGISTRY_AUTH_FILE"
        if keys is not None:
            hint = f"the registry refuses the credentials for {endpoint.host}"
        raise SealiftError("the registry wants to know who asks", where=endpoint, hint=hint)

    def _token(
        self, endpoint: Endpoint, asked: challenge.Challenge, scopes: Sequence[str], keys: Credentials | None
    ) -> _Held:
        realm, service = asked.parameters.get("realm", ""), asked.parameters.get("service", "")
        scheme = urls.origin(realm)[0]
        if scheme != "https" and endpoint.origin.startswith("https:"):
            raise SealiftError(
                "the registry sends us to a token server in plain text", where=endpoint, got=urls.shown(realm)
            )
        headers, body, url = {"Accept": "application/json"}, None, realm
        if keys is not None and keys.identity:
            form = {"grant_type": "refresh_token", "refresh_token": keys.identity, "service": service}
            body = urlencode({**form, "client_id": "sealift", "scope": " ".join(scopes)}).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            query = [("service", service)] if service else []
            for name, value in [*query, *(("scope", scope) for scope in scopes)]:
                url = urls.with_query(url, name, quote(value, safe=":/,"))
            if keys is not None:
                headers["Authorization"] = keys.basic
        where = f"{endpoint}: token server {urls.shown(realm)}"
        return self._fetch(url, headers, body, where)

    def _fetch(self, url: str, headers: dict[str, str], body: bytes | None, where: str) -> _Held:
        asked_at = self._timing.monotonic()
        answer = self._transport.send("POST" if body else "GET", url, headers, body, where=where)
        try:
            data = answer.read(_MAX_ANSWER)
        finally:
            answer.close()
        if answer.status != 200:
            if answer.status in (401, 403):
                raise SealiftError("the token server refuses us", where=where, got=answer.status)
            raise TokenServerBusy(where, answer.status, answer.header("Retry-After"))
        token, life = _read_token(data, where)
        self._keep_secret([token])
        return _Held(header=f"Bearer {token}", until=asked_at + max(life - _MARGIN, life / 2))

    def _keep_secret(self, words: Iterator[str] | Sequence[str]) -> None:
        with self._lock:
            self._secrets = self._secrets | {word for word in words if len(word) >= 4}


class TokenServerBusy(Exception):
    """The token server did not answer well; the request may be tried again."""

    def __init__(self, where: str, status: int, retry_after: str | None) -> None:
        """`where` names it."""
        super().__init__(where, status)
        self.where, self.status, self.retry_after = where, status, retry_after


def _slot(endpoint: Endpoint, actions: str, more: Sequence[str] = ()) -> Slot:
    return endpoint.origin, endpoint.path, " ".join((actions, *more))


def _read_token(data: bytes, where: str) -> tuple[str, float]:
    """The answer -> the token and the seconds it lives; a token is a header's value: nothing may end the line."""
    try:
        plain: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise FormatError("the token server's answer is not JSON", where=where) from None
    plain = plain if isinstance(plain, dict) else {}
    token = plain.get("token") or plain.get("access_token")
    if not isinstance(token, str) or len(token) > _MAX_TOKEN or not _TOKEN.fullmatch(token):
        raise FormatError("the token server's answer holds no token", where=where)
    life = plain.get("expires_in", _DEFAULT_LIFE)
    known = isinstance(life, (int, float)) and not isinstance(life, bool) and 0 < life < float("inf")
    return token, min(float(life), _LONGEST_LIFE) if known else _DEFAULT_LIFE
