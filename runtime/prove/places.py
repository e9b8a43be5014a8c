"""Where the machines of a proof are, and their power: they are plugged in, may die, and come back."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.nodeconf.model import Role
from runtime.prove.cgroups import Group
from runtime.prove.namespaces import Machine, Switch, start_machine
from runtime.prove.network import Port

FIRST: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a machine of a proof is: `number` from 1, its folder with the staged bundle, its control group."""

    number: int
    role: Role
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

    @property
    def log(self) -> Path:
        """What its daemon says."""
        return self.home / f"{self.role}.log"


@dataclass(slots=True)
class Plugged:
    """A place with its machine, which is another one after the power was gone; the disk stays."""

    place: Place
    machine: Machine
    start: Callable[[], Awaitable[Machine]]

    async def die(self) -> None:
        """Every process ends at once, as when the power goes."""
        await self.machine.stop()
        self.place.group.remove()  # a power cut leaves no control groups; a kubelet waits for what they held

    async def revive(self) -> None:
        """The machine with its disk; its daemon is started apart."""
        self.place.group.make()
        self.machine = await self.start()

    async def stop(self) -> None:
        """Ends whichever machine is there."""
        await self.machine.stop()


def node_name(number: int) -> str:
    """`prove1` is the first server."""
    return f"prove{number}"


@contextlib.asynccontextmanager
async def plugged_in(
    switch: Switch, places: Sequence[Place], env: Mapping[str, str], *, ipv6: bool
) -> AsyncIterator[tuple[Plugged, ...]]:
    """Machines for the block, one after the other, because each takes its cables to the switch."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for place in places:
            start = _starter(switch, place, env, ipv6)
            plugged = Plugged(place, await start(), start)
            stack.push_async_callback(plugged.stop)
            found.append(plugged)
        yield tuple(found)


def _starter(switch: Switch, place: Place, env: Mapping[str, str], ipv6: bool) -> Callable[[], Awaitable[Machine]]:
    async def start() -> Machine:
        return await start_machine(
            switch, place.group, name=place.name, port=place.port, home=place.home, env=env, ipv6=ipv6
        )

    return start
