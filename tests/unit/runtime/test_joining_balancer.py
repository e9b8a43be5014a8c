"""The balancer of an agent: programs reach a server that lives, and leave one that died."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bundles.errors import FormatError, UsageError
from runtime.joining import servers
from runtime.joining.balancer import Balancer, balancing
from runtime.joining.servers import Server


@contextlib.asynccontextmanager
async def echo(word: bytes) -> AsyncIterator[Server]:
    """A server that says its word, then says everything back."""
    writers: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(OSError):
            writer.write(word)
            while piece := await reader.read(1000):
                writer.write(piece)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield Server("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def said(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await asyncio.wait_for(reader.read(1), 5)
    finally:
        writer.close()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work()

    asyncio.run(bounded())


def test_bytes_pass_both_ways_and_ends_are_passed_on() -> None:
    async def work() -> None:
        async with echo(b"a") as server, balancing(Balancer((server,), Clock()), "127.0.0.1", 0) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            big = bytes(range(256)) * 8000
            writer.write(big)
            writer.write_eof()
            assert await reader.read() == b"a" + big
            writer.close()

    run(work)


def test_a_server_that_does_not_answer_is_passed_over_and_comes_last_for_a_while() -> None:
    async def work() -> None:
        dead, clock = Server("127.0.0.1", free_port()), Clock()
        async with echo(b"a") as server:
            balancer = Balancer((dead, server), clock)
            async with balancing(balancer, "127.0.0.1", 0) as port:
                assert await said(port) == b"a"
                assert balancer.order() == (server, dead)
                clock.now += 60
                assert balancer.order()[0] == server  # it answered last

    run(work)


def test_connections_to_a_server_that_left_the_list_are_cut() -> None:
    async def work() -> None:
        async with echo(b"a") as first, echo(b"b") as second:
            balancer = Balancer((first,), Clock())
            async with balancing(balancer, "127.0.0.1", 0) as port:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert await reader.read(1) == b"a"
                assert balancer.replace([second])
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
                assert await said(port) == b"b"
                writer.close()

    run(work)


def test_an_empty_list_never_replaces_a_full_one() -> None:
    balancer = Balancer((Server("a", 1),), Clock())
    assert not balancer.replace([]) and balancer.servers == (Server("a", 1),)


def test_with_no_server_alive_a_client_is_told_at_once() -> None:
    async def work() -> None:
        balancer = Balancer((Server("127.0.0.1", free_port()),), Clock())
        async with balancing(balancer, "127.0.0.1", 0) as port:
            with contextlib.suppress(ConnectionError):
                assert await said(port) == b""

    run(work)


def test_the_end_of_the_balancer_ends_its_connections() -> None:
    async def work() -> None:
        async with echo(b"a") as server:
            async with balancing(Balancer((server,), Clock()), "127.0.0.1", 0) as port:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert await reader.read(1) == b"a"
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()

    run(work)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://10.0.0.1:9345", Server("10.0.0.1", 9345)),
        ("https://ship.example", Server("ship.example", 9345)),
        ("https://[fd00::1]:9345/", Server("fd00::1", 9345)),
    ],
)
def test_a_server_is_read_from_its_address(url: str, server: Server) -> None:
    assert servers.first_server(url) == server


@pytest.mark.parametrize("url", ["http://a:9345", "https://", "https://a:b", "https://a/path", "https://u@a", "a:9345"])
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="not a server's address"):
        servers.first_server(url)


def test_servers_survive_in_rke2_s_form(tmp_path: Path) -> None:
    path, known = tmp_path / servers.SUPERVISORS, (Server("10.0.0.1", 9345), Server("fd00::1", 9345))
    servers.write_list(path, known[0], known)
    assert servers.read_list(path) == known
    assert b'"ServerURL":"https://10.0.0.1:9345"' in path.read_bytes()


@pytest.mark.parametrize("data", [b"", b"{", b'{"ServerURL":"x"}', b'{"ServerURL":"x","ServerAddresses":["a/b"]}'])
def test_a_memory_of_servers_that_is_damaged_is_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(data)
    assert servers.read_list(path) == ()


@pytest.mark.parametrize("document", [None, {}, [1], ["a/b"], ["x"] * 65])
def test_what_is_no_list_of_apiservers_is_refused(document: object) -> None:
    with pytest.raises(FormatError):
        servers.read_apiservers(document, where="server")


def test_each_apiserver_s_host_has_a_supervisor() -> None:
    found = servers.read_apiservers(["10.0.0.2:6443", "10.0.0.1:6443", "10.0.0.2:6443"], where="server")
    assert servers.supervisors_of(found) == (Server("10.0.0.1", 9345), Server("10.0.0.2", 9345))
