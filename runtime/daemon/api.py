"""Short questions over HTTPS and HTTP: is it healthy, how does the Node stand. Blocking work in a thread.

One connection per question: they are few, and a stale connection to a dead program is no answer.
"""

import asyncio
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bundles.errors import SealiftError

_SECONDS: Final = 5.0
_MAX_ANSWER: Final = 16 << 20  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Files: whom we trust, and who we are; without `authority` the other side is not checked (loopback health)."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Status, body, and the header Date, empty when there is none."""

    status: int
    body: bytes
    date: str = ""

    def document(self) -> Any:
        """The body as JSON. Raises SealiftError when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as exc:
            raise SealiftError("not JSON", got=repr(self.body[:200])) from exc


async def ask(
    url: str,
    identity: Identity,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = _SECONDS,
) -> Answer:
    """One request. Raises SealiftError when nobody answers in time."""
    return await asyncio.to_thread(_ask, url, identity, method, body, dict(headers or {}), seconds)


async def is_healthy(url: str, identity: Identity) -> bool:
    """Whether the answer is 200; no answer is no."""
    try:
        return (await ask(url, identity)).status == http.client.OK
    except SealiftError:
        return False


def _ask(
    url: str, identity: Identity, method: str, body: bytes | None, headers: dict[str, str], seconds: float
) -> Answer:
    parts = urllib.parse.urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=tls_context(identity))
        else:
            connection = http.client.HTTPConnection(host, port, timeout=seconds)
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            date = response.getheader("Date", "")
            return Answer(status=response.status, body=response.read(_MAX_ANSWER), date=date)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as exc:
        raise SealiftError(f"no answer: {exc}", where=url) from exc


def tls_context(identity: Identity) -> ssl.SSLContext:
    """How a question is asked as `identity`."""
    context = ssl.create_default_context(cafile=str(identity.authority) if identity.authority else None)
    if identity.authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if identity.certificate is not None:
        context.load_cert_chain(str(identity.certificate), str(identity.key) if identity.key else None)
    return context
