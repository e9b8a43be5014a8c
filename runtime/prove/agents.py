"""Further machines of a proof: they join the first one through its supervisor, with its own token."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bundles.errors import SealiftError
from runtime.daemon.journal import Journal, read_journal
from runtime.layout import DEFAULT_DATA_DIR
from runtime.nodeconf.model import SUPERVISOR_PORT, Role
from runtime.process import Child
from runtime.prove.boot import CONFIG, host_layout, write_config
from runtime.prove.namespaces import log_tail
from runtime.prove.places import Place, Plugged

_PROGRAM: Final = "from runtime.cli import main; main()"
_TOKEN_SECONDS: Final = 120.0
_TOKENS: Final[dict[Role, str]] = {"server": "token", "agent": "node-token"}  # below server/


@dataclass(frozen=True, kw_only=True, slots=True)
class Joining:
    """A machine whose daemon joins the first one."""

    plugged: Plugged
    daemon: Child

    @property
    def place(self) -> Place:
        """Where."""
        return self.plugged.place

    def journal(self) -> Journal | None:
        """What its daemon says of itself; None before it does."""
        with contextlib.suppress(SealiftError):
            return read_journal(host_layout(self.place.home))
        return None

    def trouble(self) -> str:
        """Why it ended; empty while it runs."""
        if self.daemon.process.returncode is None:
            return ""
        return f"sealift-node {self.place.role} on {self.place.name} ended: {log_tail(self.place.log)}"


async def join(further: Sequence[Plugged], server: Place, choices: Mapping[str, str]) -> tuple[Joining, ...]:
    """Starts each machine's daemon, with the token that `server` wrote, and servers with the cluster's `choices`.

    Raises SealiftError when it writes none.
    """
    url = f"https://{server.port.address}:{SUPERVISOR_PORT}"
    joining = []
    for plugged in further:
        place = plugged.place
        token = await _token(server, _TOKENS[place.role])
        values = {"node-name": place.name, "node-ip": place.port.address, "server": url, "token": token}
        write_config(place.home, values | dict(choices if place.role == "server" else {}))
        joining.append(Joining(plugged=plugged, daemon=await start_daemon(plugged)))
    return tuple(joining)


async def start_daemon(plugged: Plugged) -> Child:
    """Starts `sealift-node` in its role, with the configuration that the machine has."""
    machine = plugged.machine
    argv = [plugged.place.role, "--data-dir", str(DEFAULT_DATA_DIR), "--config", str(CONFIG)]
    words = [sys.executable, "-P", "-c", _PROGRAM, *argv]
    return await machine.start(words, log=plugged.place.log, env={"PATH": machine.env["PATH"]})


async def _token(server: Place, name: str) -> str:
    """What machines join with, once the first server has made it: an administrator would carry it over by hand."""
    path = host_layout(server.home).server / name
    for _ in range(int(_TOKEN_SECONDS * 10)):
        if path.exists():
            return path.read_text().strip()
        await asyncio.sleep(0.1)
    raise SealiftError("the server made no token", where=path, got=log_tail(server.log))


def trouble_of(joining: Sequence[Joining]) -> Callable[[], str]:
    """What a boot asks for while it waits: the first machine whose daemon ended."""
    return lambda: next((words for one in joining if (words := one.trouble())), "")
