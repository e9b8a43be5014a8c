"""etcd as one server has it, asked inside of its machine, because the gateway listens on loopback alone.

`python -m runtime.prove.inside PREFIX` prints one JSON document: the members, whether this one leads, and the names of
the keys below PREFIX that this member's own database has: it is not asked to agree with the others first.
"""

import asyncio
import sys
from dataclasses import dataclass
from typing import Final

import msgspec

from bundles import jsontext
from runtime.configs.etcd import HTTP_PORT
from runtime.daemon.api import Identity
from runtime.etcd.gateway import Gateway
from runtime.layout import DEFAULT_DATA_DIR
from runtime.nodepaths import NodePaths
from runtime.prove.namespaces import Machine

_PROGRAM: Final = "runtime.prove.inside"
_SECONDS: Final = 30.0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A member: the Node it runs on, and whether it votes."""

    node: str
    votes: bool


class View(msgspec.Struct, frozen=True, kw_only=True):
    """etcd as a member sees it; `names` are those of the keys, without the prefix."""

    members: tuple[Row, ...]
    leads: bool
    names: tuple[str, ...]

    @property
    def voters(self) -> frozenset[str]:
        """The Nodes of all that vote."""
        return frozenset(row.node for row in self.members if row.votes)


@dataclass(frozen=True, slots=True)
class EtcdOf:
    """etcd of the server on `machine`."""

    machine: Machine

    async def view(self, prefix: str) -> View:
        """See the module. Raises SealiftError when it does not answer."""
        argv = [sys.executable, "-P", "-m", _PROGRAM, prefix]
        output = await self.machine.call(argv, timeout=_SECONDS, env={"PATH": self.machine.env["PATH"]})
        return jsontext.decode(output.stdout, View, where=f"etcd of {self.machine.name}")


async def look(gateway: Gateway, prefix: str) -> View:
    """Asks this machine's member."""
    members = await gateway.members()
    status = await gateway.status()
    names = await gateway.names(prefix, own=True)
    return View(
        members=tuple(Row(node=member.node, votes=not member.learner) for member in members),
        leads=status.leads,
        names=tuple(sorted(name.removeprefix(prefix) for name in names)),
    )


def _main() -> None:
    tls = NodePaths(DEFAULT_DATA_DIR).tls / "etcd"
    identity = Identity(authority=tls / "server-ca.crt", certificate=tls / "client.crt", key=tls / "client.key")
    gateway = Gateway(url=f"https://127.0.0.1:{HTTP_PORT}", identity=identity)
    found = asyncio.run(look(gateway, sys.argv[1]))
    sys.stdout.buffer.write(jsontext.encode_canonical(found))


if __name__ == "__main__":
    _main()
