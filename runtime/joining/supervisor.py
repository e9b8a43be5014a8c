"""Asking a supervisor: first whom to trust, then, over TLS that this trust checks, the rest.

k3s pkg/clientaccess. Every refusal has its own words: a wrong token, another cluster, a name that is taken, a clock
that is off, a server that is not there yet.
"""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from bundles.errors import FormatError, SealiftError, TrustError
from runtime.daemon.api import Answer, Identity, ask
from runtime.nodefiles import PUBLIC_FILE, settle
from runtime.supervisor import clocks, token
from runtime.supervisor.table import PREFIX
from runtime.supervisor.token import JoinToken

_SECONDS: Final = 10.0
_MAX_AUTHORITY: Final = 1 << 20  # bytes


class NotYetError(SealiftError):
    """The server is not there, or not ready: nothing is wrong, and it will be asked again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisorClient:
    """A server's supervisor at `url` (https://HOST:9345), trusted by the file `authority`.

    `known`: who this machine is by a certificate of the cluster; None: it shows the token. Whoever has joined needs no
    token any more, which may have ended, or be another one by now. `clock`: epoch seconds.
    """

    url: str
    authority: Path
    token: JoinToken = field(repr=False)
    known: Identity | None = None
    clock: Callable[[], float] = time.time

    async def trust(self) -> bytes:
        """Fetches the authority, checks it against the token, keeps it; returns it.

        The connection is not checked: the hash in the token checks what came over it. Raises TrustError.
        """
        answer = await _ask(f"{self.url}/cacerts", Identity(), headers={clocks.HEADER: str(int(self.clock()))})
        if answer.status != HTTPStatus.OK or len(answer.body) > _MAX_AUTHORITY:
            raise NotYetError("the server does not say whom to trust yet", where=self.url, got=answer.status)
        token.check_authority(self.token, answer.body, where=self.url)
        settle(self.authority, answer.body, PUBLIC_FILE)
        return answer.body

    @contextlib.asynccontextmanager
    async def telling_clocks(self) -> AsyncIterator[None]:
        """A refusal in the block also says when this machine's clock is off, as the server sees it."""
        try:
            yield
        except (TrustError, FormatError) as exc:
            if words := await self._off():
                hint = "set this machine's clock" + (f"; {exc.hint}" if exc.hint else "")
                raise TrustError(f"{exc.message}; {words}", where=exc.where, hint=hint) from exc
            raise

    async def _off(self) -> str:
        try:
            theirs = clocks.read_date((await _ask(f"{self.url}/ping", Identity())).date)
        except SealiftError:
            return ""
        words = "" if theirs is None else clocks.difference(self.clock(), theirs)
        return words and f"this machine's clock is {words} the server's"

    async def get(self, name: str, headers: Mapping[str, str] | None = None) -> bytes:
        """The body of `/v1-rke2/NAME`. Raises TrustError for a refusal, NotYetError for a server that is not ready."""
        return await self._exchange("GET", name, None, headers or {})

    async def post(self, name: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The answer to `body`; errors as `get`."""
        return await self._exchange("POST", name, body, headers)

    async def document(self, name: str) -> Any:
        """The same as JSON; FormatError when it is none."""
        data = await self.get(name)
        try:
            return json.loads(data)
        except ValueError as exc:
            raise FormatError("not JSON", where=f"{self.url}{PREFIX}/{name}", got=repr(data[:100])) from exc

    async def _exchange(self, method: str, name: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        url = f"{self.url}{PREFIX}/{name}"
        identity, sent = Identity(authority=self.authority), {"Authorization": self.token.authorization, **headers}
        if self.known is not None:
            identity, sent = replace(self.known, authority=self.authority), dict(headers)
        answer = await _ask(url, identity, method=method, body=body, headers=sent)
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer, url, bootstrap=not self.token.user)
        return answer.body


async def _ask(
    url: str,
    identity: Identity,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    try:
        return await ask(url, identity, method=method, body=body, headers=headers, seconds=_SECONDS)
    except SealiftError as exc:
        if "CERTIFICATE_VERIFY_FAILED" in exc.message:
            raise _not_trusted(exc, url) from exc
        raise NotYetError(exc.message, where=url, hint="is the server running, and its port 9345 open?") from exc


def _not_trusted(exc: SealiftError, url: str) -> TrustError:
    if "not yet valid" in exc.message or "has expired" in exc.message:
        hint = "compare this machine's clock with the server's"
        return TrustError("the server's certificate is not valid at this machine's time", where=url, hint=hint)
    return TrustError("the server's certificate is not of the cluster's authority", where=url, got=exc.message)


def _refusal(answer: Answer, url: str, *, bootstrap: bool) -> SealiftError:
    words = _message(answer)
    if answer.status == HTTPStatus.UNAUTHORIZED:
        said = f": {words}" if words not in ("", HTTPStatus.UNAUTHORIZED.phrase) else ""
        hint = "copy server/node-token of a server again: it may have been rotated; an agent token is no server token"
        if bootstrap:
            hint = "bootstrap tokens end: make another one on a server, sealift-node token create"
        return TrustError(f"the server refuses the token{said}", where=url, hint=hint)
    if answer.status == HTTPStatus.FORBIDDEN:
        return TrustError(words or "the server refuses this machine", where=url)
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return NotYetError(words or "the server is not ready yet", where=url)
    return SealiftError(words or "the server did not answer as expected", where=url, got=answer.status)


def _message(answer: Answer) -> str:
    """The words of a Status object; what is none of ours has no words."""
    try:
        document = answer.document()
    except SealiftError:
        return ""
    message = document.get("message") if isinstance(document, dict) else None
    return message[:300] if isinstance(message, str) else ""
