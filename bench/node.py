"""Machines for measures that boot nodes: as `sealift-node prove` makes them, without any network, gone at the end."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.timing import Bench
from runtime.folders import remove
from runtime.layout import NodeLayout
from runtime.prove.boot import host_layout
from runtime.prove.cgroups import Group, hierarchies
from runtime.prove.ledger import Ledger, open_ledger
from runtime.prove.mounts import PRIVATE
from runtime.prove.namespaces import Machine, Switch, start_machine, start_switch
from runtime.prove.network import Port
from runtime.prove.requirements import clean_environment, refuse_unable

NODE = "bench1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A machine in which the bundle is staged, and nothing else has happened."""

    machine: Machine
    switch: Switch

    @property
    def layout(self) -> NodeLayout:
        """The data directory, as the host reaches it."""
        return host_layout(self.machine.home)

    def outside(self, path: str) -> Path:
        """A path of the machine, as the host reaches it."""
        return self.machine.outside(Path(path))


@contextlib.contextmanager
def only_one(bench: Bench) -> Iterator[Ledger]:
    """Makes sure that nobody else boots, and takes away what the block made on the host."""
    refuse_unable(clean_environment(bench.environment)["PATH"])
    found = hierarchies(Path("/proc/self/mountinfo").read_text())
    with open_ledger(found, print) as ledger:
        try:
            ledger.make_mount_points(PRIVATE)
            yield ledger
        finally:
            ledger.take_back(found)


@contextlib.asynccontextmanager
async def machine(bench: Bench, ledger: Ledger) -> AsyncIterator[Place]:
    """A fresh machine with the bundle staged by the command that users type, on a switch of its own."""
    switch = await start_switch(bench.scratch / f"switch-{secrets.token_hex(4)}.log", _env(bench), ipv6=False)
    try:
        async with neighbour(bench, ledger, switch, 1, NODE) as place:
            yield place
    finally:
        await switch.child.stop(0.0)


@contextlib.asynccontextmanager
async def neighbour(bench: Bench, ledger: Ledger, switch: Switch, number: int, name: str) -> AsyncIterator[Place]:
    """The same as one more machine on a switch, in its socket `number`; its folder goes with it."""
    work = bench.scratch / f"machine-{secrets.token_hex(4)}"
    group = Group(f"sealift-{work.name}", hierarchies(Path("/proc/self/mountinfo").read_text()))
    ledger.will_make(work=work, group=group.name)
    home = work / name
    host_layout(home).data.mkdir(parents=True)
    folder, words = host_layout(home).data, ("--insecure-no-signature", "--progress", "none")
    bench.run([bench.program("sealift-node"), "stage", bench.bundle, "--data-dir", folder, *words])
    group.make()
    try:
        made = await start_machine(switch, group, name=name, port=Port(number), home=home, env=_env(bench), ipv6=False)
        try:
            yield Place(machine=made, switch=switch)
        finally:
            await made.stop()
    finally:
        group.remove()
        remove(work)


def _env(bench: Bench) -> dict[str, str]:
    return dict(clean_environment({**bench.environment, "PYTHONPATH": str(bench.root)}))
