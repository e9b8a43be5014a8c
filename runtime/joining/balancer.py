"""A small TCP balancer on loopback: programs of an agent talk to one address, whichever servers are alive.

k3s pkg/agent/loadbalancer. It passes bytes: TLS is between the program and the server. A server that does not answer
is tried last for a while; when a server leaves the list, or dies, its connections are cut, so that clients come back
through another.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from runtime.joining.servers import Server

_CONNECT: Final = 3.0  # seconds
_PIECE: Final = 64 << 10  # bytes
_SHUNNED: Final = 15.0  # seconds that a server which did not answer comes last


@dataclass(slots=True)
class Balancer:
    """Which servers there are, best first: the one that answered last, then the others; who failed comes last.

    `clock` gives seconds that never go back.
    """

    servers: tuple[Server, ...]
    clock: Callable[[], float]
    failed: dict[Server, float] = field(default_factory=dict)
    preferred: Server | None = None
    links: dict[Server, set[asyncio.StreamWriter]] = field(default_factory=dict)

    def order(self) -> tuple[Server, ...]:
        """The servers in the order in which they are tried."""
        now = self.clock()

        def rank(server: Server) -> tuple[bool, bool, int]:
            shunned = now - self.failed.get(server, -_SHUNNED) < _SHUNNED
            return shunned, server != self.preferred, self.servers.index(server)

        return tuple(sorted(self.servers, key=rank))

    def replace(self, servers: Iterable[Server]) -> bool:
        """Takes a new list, when it is not empty; whoever left it loses its connections. Whether it is another."""
        fresh = tuple(dict.fromkeys(servers))
        if not fresh or fresh == self.servers:
            return False
        for gone in set(self.servers) - set(fresh):
            self._cut(gone)
        self.servers = fresh
        return True

    def lost(self, server: Server) -> None:
        """A server did not answer: it comes last for a while, and what still hangs on it is cut."""
        self.failed[server] = self.clock()
        if self.preferred == server:
            self.preferred = None
        self._cut(server)

    def answered(self, server: Server) -> None:
        """A server answered."""
        self.failed.pop(server, None)
        self.preferred = server

    def _cut(self, server: Server) -> None:
        for writer in self.links.pop(server, set()):
            if (transport := writer.transport) is not None:
                transport.abort()


@dataclass(frozen=True, kw_only=True, slots=True)
class Balancers:
    """An agent's two: to the supervisors, and to the apiservers."""

    supervisors: Balancer
    apiservers: Balancer


@contextlib.asynccontextmanager
async def balancing(balancer: Balancer, host: str, port: int) -> AsyncIterator[int]:
    """Listens on loopback while the block runs; gives the port. Raises OSError when it is taken."""
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await _carry(balancer, reader, writer)
        except asyncio.CancelledError:
            pass  # the listener ends; asyncio would log the end of each connection as an error
        finally:
            connections.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(accept, host, port, limit=_PIECE)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _carry(balancer: Balancer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: to the first server that answers, then bytes both ways until both have ended."""
    for server in balancer.order():
        try:
            async with asyncio.timeout(_CONNECT):
                far_reader, far_writer = await asyncio.open_connection(server.host, server.port, limit=_PIECE)
        except (OSError, TimeoutError):
            balancer.lost(server)
            continue
        balancer.answered(server)
        links = balancer.links.setdefault(server, set())
        links.add(far_writer)
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            links.discard(far_writer)
            far_writer.transport.abort()
        return


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()  # the other direction ends with it
