"""The supervisor's door: TLS, bounds, one request per connection; what is asked goes to the table.

aiohttp does the parsing. Around it: a doorman who counts, a handshake that ends after 5 s, a header after 10 s, a body
of 1 MiB. Each connection carries one request: idle ones cost nothing then, and a client that is slow holds one of its
own address's places, for a bounded time, and nobody else's.
"""

import asyncio
import contextlib
import ipaddress
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web
from cryptography import x509

from bundles.errors import FormatError, SealiftError
from bundles.region import CHUNK
from bundles.registry.credentials import basic_pair
from bundles.source import open_source
from runtime.supervisor import clocks
from runtime.supervisor.bootstraps import BootstrapToken, Verdict, judge, split
from runtime.supervisor.callers import AGENT, Caller, Secrets, caller_of
from runtime.supervisor.facts import Facts
from runtime.supervisor.limits import Doorman, Limits
from runtime.supervisor.messages import Part, Request, Response, refusal
from runtime.supervisor.passwords import NodePasswords
from runtime.supervisor.routes.certificates import PASSWORD_HEADER, node_name
from runtime.supervisor.table import ROUTES, Route, allowed, answer, find

_SILENT: Final = logging.getLogger("sealift.supervisor.aiohttp")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False  # what strangers send must not fill a node's journal

Say = Callable[[str], None]
Act = Callable[[Request], Awaitable[Response]]


async def _no_bootstraps(identity: str) -> BootstrapToken | None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Supervisor:
    """What the door needs.

    Args:
        secrets: of the cluster, read anew for each request (tokens rotate).
        facts: what is known now, for this route.
        passwords: of nodes.
        say: one line for the journal, never with a secret.
        limits: bounds.
        routes: the table.
        acts: what routes that change something do, by the name in the table.
        bootstraps: finds a bootstrap token by its id. Raises SealiftError while the cluster does not answer.
    """

    secrets: Callable[[], Secrets]
    facts: Callable[[Route], Awaitable[Facts]]
    passwords: NodePasswords
    say: Say
    limits: Limits = field(default_factory=Limits)
    routes: tuple[Route, ...] = ROUTES
    acts: Mapping[str, Act] = field(default_factory=dict)
    bootstraps: Callable[[str], Awaitable[BootstrapToken | None]] = _no_bootstraps

    async def respond(self, request: Request) -> Response:
        """A request -> its answer, in the order: what is asked, who asks, may they, is it the node it says."""
        route = find(request.method, request.path, self.routes)
        if isinstance(route, Response):
            return route
        self._compare_clocks(request)
        caller = caller_of(request, self.secrets())
        if not caller.roles and route.roles and (parts := split(request.bearer)) is not None:
            found = await self._bootstrapped(*parts)
            if isinstance(found, Response):
                self.say(f"refused {request.peer}: {request.method} {route.path} with the bootstrap token {parts[0]}")
                return found
            caller = found
        if (refused := allowed(route, caller)) is not None:
            shown = " with a wrong token" if request.secret or request.bearer else ""
            who = f" as {caller.name}" if caller.roles else shown or " without a token"
            self.say(f"refused {request.peer}: {request.method} {route.path}{who}")
            return refused
        if route.node and (refused := await self._check_node(request, caller)) is not None:
            self.say(f"refused {request.peer}: {route.path}: {refused.status.phrase}")
            return refused
        if (act := self.acts.get(route.act)) is not None:
            return await self._act(act, request)
        return answer(route, request, await self.facts(route))

    def _compare_clocks(self, request: Request) -> None:
        theirs = clocks.read_header(request.headers.get(clocks.HEADER, ""))
        if theirs is not None and (words := clocks.difference(theirs, time.time())):
            self.say(f"warning: {request.peer} wants to join, and its clock is {words} this machine's")

    async def _bootstrapped(self, identity: str, secret: str) -> Caller | Response:
        try:
            token = await self.bootstraps(identity)
        except SealiftError:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the cluster does not answer yet")
        match judge(token, secret, datetime.now(UTC)):
            case Verdict.GOOD:
                return Caller(name=f"bootstrap token {identity}", roles=frozenset((AGENT,)))
            case Verdict.EXPIRED:
                return refusal(HTTPStatus.UNAUTHORIZED, "the token has expired")
            case Verdict.WRONG:
                return refusal(HTTPStatus.UNAUTHORIZED)

    async def _act(self, act: Act, request: Request) -> Response:
        try:
            return await act(request)
        except FormatError as exc:
            return refusal(HTTPStatus.BAD_REQUEST, exc.message)

    async def _check_node(self, request: Request, caller: Caller) -> Response | None:
        try:
            name = node_name(request.headers)
        except FormatError as exc:
            return refusal(HTTPStatus.BAD_REQUEST, exc.message)
        if not caller.may_be(name):
            return refusal(HTTPStatus.FORBIDDEN, "a node asks for another node's certificates")
        return await self.passwords.check(name, request.headers.get(PASSWORD_HEADER, ""))


@contextlib.asynccontextmanager
async def listening(
    supervisor: Supervisor, host: str | None, port: int, context: ssl.SSLContext
) -> AsyncIterator[asyncio.Server]:
    """Serves while the block runs; `host` None is every address. Raises OSError when the port is taken."""
    door = _Door(supervisor)
    server = web.Server(
        door.handle,
        access_log=None,
        logger=_SILENT,
        keepalive_timeout=0,
        max_line_size=supervisor.limits.header_bytes,
        max_field_size=supervisor.limits.header_bytes,
        lingering_time=1.0,
    )
    listener = await asyncio.get_running_loop().create_server(
        lambda: _Guarded(server(), door),
        host,
        port,
        ssl=context,
        ssl_handshake_timeout=supervisor.limits.handshake,
        ssl_shutdown_timeout=1.0,
        reuse_address=True,
        backlog=128,
    )
    try:
        yield listener
    finally:
        listener.close()
        await server.shutdown(timeout=1.0)


def server_context(certificate: str, key: str, client_authority: str) -> ssl.SSLContext:
    """TLS 1.2 or newer; clients may show a certificate, and it must be of our client authority then. Paths of PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@dataclass(slots=True)
class _Door:
    """From aiohttp's requests to ours and back."""

    supervisor: Supervisor
    doorman: Doorman = field(init=False)
    flight: asyncio.Semaphore = field(init=False)
    streams: Doorman = field(init=False)
    timers: dict[asyncio.BaseTransport, asyncio.TimerHandle] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.doorman = Doorman(self.supervisor.limits)
        limits = self.supervisor.limits
        self.flight = asyncio.Semaphore(limits.in_flight)
        self.streams = Doorman(replace(limits, connections=limits.streams, per_address=limits.streams_per_address))

    async def handle(self, raw: web.BaseRequest) -> web.StreamResponse:
        """One request, whose header is complete."""
        limits = self.supervisor.limits
        transport = raw.transport
        self._quiet(transport)
        try:
            async with asyncio.timeout(limits.body):
                body = await _body(raw, limits.body_bytes)
            async with asyncio.timeout(limits.answer), self.flight:
                found = await self.supervisor.respond(_request(raw, body))
        except TimeoutError:
            found = refusal(HTTPStatus.REQUEST_TIMEOUT)
        except _TooLargeError:
            found = refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except Exception as exc:  # a bug must not end the node, nor tell strangers about itself
            self.supervisor.say(f"error: {raw.method} {raw.path[:200]!r}: {type(exc).__name__}: {exc}")
            found = refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
        if found.part is not None:
            return await self._stream(raw, found, found.part)
        if transport is not None:
            loop = asyncio.get_running_loop()
            self.timers[transport] = loop.call_later(limits.answer, transport.abort)  # whoever does not take it
        response = web.Response(status=found.status, body=found.body, headers=dict(found.headers))
        response.headers["Content-Type"] = found.kind
        response.force_close()
        return response

    async def _stream(self, raw: web.BaseRequest, found: Response, part: Part) -> web.StreamResponse:
        """A piece of a file, however long it takes; only so many at once, and nobody holds one without taking it."""
        address = _address(raw.transport)
        if not self.streams.enter(address):
            busy = refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many files on their way: ask again")
            headers = {"Retry-After": "5", "Content-Type": busy.kind}
            return web.Response(status=busy.status, body=busy.body, headers=headers)
        response = web.StreamResponse(status=found.status, headers={**found.headers, "Content-Type": found.kind})
        response.content_length = part.size
        response.force_close()
        try:
            await self._send(raw, response, part)
        except (ConnectionError, TimeoutError):
            _abort(raw.transport)  # they went away, or do not take it
        except SealiftError as exc:  # the header has promised more: only a cut says that something is wrong
            self.supervisor.say(f"error: {raw.path[:200]!r}: {exc}")
            _abort(raw.transport)
        finally:
            self.streams.leave(address)
        return response

    async def _send(self, raw: web.BaseRequest, response: web.StreamResponse, part: Part) -> None:
        stall = self.supervisor.limits.stall
        with open_source(part.folder) as source, source.open(part.path) as region:
            if region.size != part.whole:
                got, want = f"{region.size} bytes", f"{part.whole} bytes"
                raise FormatError("another size than bundle.json says", where=region.where, got=got, want=want)
            async with asyncio.timeout(stall):
                await response.prepare(raw)
            sent = 0
            while raw.method != "HEAD" and sent < part.size:
                data = await asyncio.to_thread(region.read, part.offset + sent, min(CHUNK, part.size - sent))
                async with asyncio.timeout(stall):
                    await response.write(data)
                sent += len(data)
            async with asyncio.timeout(stall):
                await response.write_eof()

    def _quiet(self, transport: asyncio.BaseTransport | None) -> None:
        if transport is not None and (timer := self.timers.pop(transport, None)) is not None:
            timer.cancel()


class _Guarded(asyncio.Protocol):
    """aiohttp's protocol of one connection behind a doorman and a clock."""

    def __init__(self, inner: web.RequestHandler, door: _Door) -> None:
        self._inner = inner
        self._door = door
        self._address: str | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        address = _address(transport)
        if not self._door.doorman.enter(address):
            transport.abort()
            return
        self._address, self._transport = address, transport
        seconds = self._door.supervisor.limits.header
        loop = asyncio.get_running_loop()
        self._door.timers[transport] = loop.call_later(seconds, transport.abort)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._address is None or self._transport is None:
            return
        self._door.doorman.leave(self._address)
        self._door._quiet(self._transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._address is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        if self._address is not None:
            self._inner.eof_received()
        return None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


def _abort(transport: asyncio.Transport | None) -> None:
    if transport is not None:
        transport.abort()


class _TooLargeError(Exception):
    """A body beyond the bound."""


async def _body(raw: web.BaseRequest, most: int) -> bytes:
    """The whole body; counted while it comes, whatever Content-Length says."""
    if raw.content_length is not None and raw.content_length > most:
        raise _TooLargeError
    pieces, size = [], 0
    async for piece in raw.content.iter_any():
        size += len(piece)
        if size > most:
            raise _TooLargeError
        pieces.append(piece)
    return b"".join(pieces)


def _request(raw: web.BaseRequest, body: bytes) -> Request:
    header = raw.headers.get("Authorization", "")
    user, secret = _basic(header)
    return Request(
        method=raw.method,
        path=raw.path,
        headers={name.lower(): value for name, value in raw.headers.items() if name.lower() != "authorization"},
        body=body,
        peer=_address(raw.transport),
        certificate=_certificate(raw.transport),
        user=user,
        secret=secret,
        bearer=_bearer(header),
    )


def _basic(header: str) -> tuple[str, str]:
    """RFC 7617; whatever is no such header is nobody's."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    return basic_pair(text.strip()) or ("", "")


def _bearer(header: str) -> str:
    """RFC 6750; empty for every other header."""
    scheme, _, text = header.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _certificate(transport: asyncio.BaseTransport | None) -> x509.Certificate | None:
    """The client's certificate, which the handshake has checked against our client authority."""
    channel = transport.get_extra_info("ssl_object") if transport is not None else None
    shown = channel.getpeercert(binary_form=True) if channel is not None else None
    return x509.load_der_x509_certificate(shown) if shown else None


def _address(transport: asyncio.BaseTransport | None) -> str:
    """The other side: its address, of IPv6 the /64 (whoever has one address there has all of them)."""
    peer = transport.get_extra_info("peername") if transport is not None else None
    if not peer:
        return "unknown"
    address = ipaddress.ip_address(peer[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
