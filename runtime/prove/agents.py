"""Further machines of a proof: agents that join the first one through its supervisor, with its own token."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from runtime.daemon.journal import Journal, read_journal
from runtime.layout import DEFAULT_DATA_DIR
from runtime.nodeconf.model import SUPERVISOR_PORT
from runtime.process import Child
from runtime.prove.boot import CONFIG, host_layout, write_config
from runtime.prove.cgroups import Group
from runtime.prove.namespaces import Machine, Switch, log_tail, start_machine
from runtime.prove.network import Port

_PROGRAM: Final = "from runtime.cli import main; main()"
_TOKEN_SECONDS: Final = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a machine of a proof is: `number` from 1, its folder with the staged bundle, its control group."""

    number: int
    home: Path
    group: Group

    @property
    def name(self) -> str:
        """The machine's host name, and its Node's."""
        return node_name(self.number)

    @property
    def port(self) -> Port:
        """Its plug."""
        return Port(self.number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """A machine whose agent runs."""

    place: Place
    machine: Machine
    daemon: Child

    def journal(self) -> Journal | None:
        """What its daemon says of itself; None before it does."""
        with contextlib.suppress(SealiftError):
            return read_journal(host_layout(self.place.home))
        return None

    def trouble(self) -> str:
        """Why it ended; empty while it runs."""
        if self.daemon.process.returncode is None:
            return ""
        return f"sealift-node agent on {self.place.name} ended: {log_tail(self.place.home / 'agent.log')}"


def node_name(number: int) -> str:
    """`prove1` is the first server."""
    return f"prove{number}"


@contextlib.asynccontextmanager
async def plugged_in(
    switch: Switch, places: Sequence[Place], env: Mapping[str, str], *, ipv6: bool
) -> AsyncIterator[tuple[Machine, ...]]:
    """Machines for the block, one after the other, because each takes its cables to the switch."""
    async with contextlib.AsyncExitStack() as stack:
        machines = []
        for place in places:
            machine = await start_machine(
                switch, place.group, name=place.name, port=place.port, home=place.home, env=env, ipv6=ipv6
            )
            stack.push_async_callback(machine.stop)
            machines.append(machine)
        yield tuple(machines)


async def join(places: Sequence[Place], machines: Sequence[Machine], server: Place) -> tuple[Agent, ...]:
    """Starts an agent on each machine, with the token that `server` wrote. Raises SealiftError when it writes none."""
    token = await _token(server)
    url = f"https://{server.port.address}:{SUPERVISOR_PORT}"
    agents = []
    for place, machine in zip(places, machines, strict=True):
        values = {"node-name": place.name, "node-ip": place.port.address, "server": url, "token": token}
        write_config(place.home, values)
        argv = ["agent", "--data-dir", str(DEFAULT_DATA_DIR), "--config", str(CONFIG)]
        daemon = await machine.start(
            [sys.executable, "-P", "-c", _PROGRAM, *argv],
            log=place.home / "agent.log",
            env={"PATH": machine.env["PATH"]},
        )
        agents.append(Agent(place=place, machine=machine, daemon=daemon))
    return tuple(agents)


async def _token(server: Place) -> str:
    """What agents join with, once the first server has made it: an administrator would carry it over by hand."""
    path = host_layout(server.home).server / "node-token"
    for _ in range(int(_TOKEN_SECONDS * 10)):
        if path.exists():
            return path.read_text().strip()
        await asyncio.sleep(0.1)
    raise SealiftError("the server made no token", where=path, got=log_tail(server.home / "server.log"))


def trouble_of(agents: Sequence[Agent]) -> Callable[[], str]:
    """What a boot asks for while it waits: the first agent that ended."""
    return lambda: next((words for agent in agents if (words := agent.trouble())), "")
