"""What only a cluster of several servers can be asked: a quorum, and that one of them may die while a client writes."""

import asyncio
import contextlib
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from runtime.daemon.status import read_status
from runtime.prove.agents import start_daemon
from runtime.prove.boot import host_layout
from runtime.prove.checks import Check, Scene
from runtime.prove.hands import PATHS
from runtime.prove.inside import EtcdOf
from runtime.prove.places import Plugged
from runtime.prove.probe import NAMESPACE
from runtime.prove.report import ServerLoss

WRITES: Final = 1000
_LANES: Final = 8
_PREFIX: Final = f"/registry/configmaps/{NAMESPACE}/"
_PROGRAM: Final = "runtime.prove.writing"
_FILES: Final = ("server-ca.crt", "client-admin.crt", "client-admin.key")
_NAMES: Final = ("get", "configmaps", "-o", "jsonpath={.items[*].metadata.name}")
LEAST: Final = 3  # servers of which one may be lost


def quorum(servers: Sequence[Plugged]) -> Check:
    """All servers vote, all of them know it, and one of them leads."""

    async def work(scene: Scene) -> None:
        await _all_vote(servers)

    return Check(name="quorum", text="all servers vote in etcd, and one leads", work=work, patience=120.0)


async def _all_vote(servers: Sequence[Plugged]) -> Plugged:
    """The leader. Raises SealiftError while somebody sees it otherwise."""
    want = {server.place.name for server in servers}
    leaders = []
    for server in servers:
        view = await EtcdOf(server.machine).view(_PREFIX)
        if view.voters != want:
            got = ", ".join(sorted(view.voters)) or "nobody"
            raise SealiftError("not all servers vote", where=server.place.name, got=got, want=", ".join(sorted(want)))
        leaders += [server] if view.leads else []
    if len(leaders) != 1:
        raise SealiftError("etcd has not one leader", got=", ".join(one.place.name for one in leaders) or "none")
    return leaders[0]


@dataclass(slots=True)
class Loss:
    """The power of etcd's leader goes while a client writes to all servers; later it comes back.

    `log`: takes what the client says. `clock`: seconds that never go back.
    """

    servers: Sequence[Plugged]
    log: Path
    clock: Callable[[], float]
    lost: Plugged | None = None
    before: int = 0
    missing: int = 0
    began_again: float | None = None
    back: float | None = None
    trouble: str = ""
    written: dict[str, float] = field(default_factory=dict)

    def checks(self) -> tuple[Check, Check]:
        """What is done, in this order."""
        return (
            Check(
                name="server-loss",
                text="the leader dies while a client writes, and nothing acknowledged is lost",
                work=self._lose,
                patience=180.0,
            ),
            Check(
                name="server-return",
                text="it comes back, votes, and has everything in its own database",
                work=self._return,
                patience=240.0,
            ),
        )

    def result(self) -> ServerLoss | None:
        """For the report; None while nobody was lost."""
        if self.lost is None:
            return None
        times = sorted(self.written.values())
        pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
        return ServerLoss(
            node=self.lost.place.name,
            writes=WRITES,
            before=self.before,
            acknowledged=len(self.written),
            missing=self.missing,
            pause_seconds=round(max(pauses, default=0.0), 2),
            back_seconds=None if self.back is None else round(self.back, 2),
        )

    async def survivors(self) -> tuple[Plugged, ...]:
        """All but the leader, who is to be lost."""
        self.lost = self.lost or await _all_vote(self.servers)
        return tuple(server for server in self.servers if server is not self.lost)

    async def _lose(self, scene: Scene) -> None:
        left = await self.survivors()
        if not self.written and not self.trouble:
            with contextlib.suppress(SealiftError):
                await self._write(left[0])
        if self.trouble:
            raise SealiftError(self.trouble, where=self.lost.place.name if self.lost else None)
        there = set((await scene.hands.kubectl("-n", NAMESPACE, *_NAMES)).split())
        self.missing = len(self.written.keys() - there)
        if self.missing:
            raise SealiftError("acknowledged writes are lost", got=f"{self.missing} of {len(self.written)}", want="0")

    async def _write(self, client: Plugged) -> None:
        """Writes, cuts the power after a third, and waits for the end; what goes wrong becomes `trouble`."""
        assert self.lost is not None
        hosts = [server.place.port.address for server in self.servers]
        files = [str(PATHS.tls / name) for name in _FILES]
        argv = [sys.executable, "-P", "-m", _PROGRAM, *files, NAMESPACE, str(WRITES), str(_LANES), *hosts]
        child = await client.machine.start(argv, log=self.log, env={"PATH": client.machine.env["PATH"]})
        try:
            while len(acknowledged(self.log)) < WRITES // 3 and child.process.returncode is None:
                await asyncio.sleep(0.05)
            await self.lost.die()
            self.before = len(acknowledged(self.log))
            how = await child.wait()
        finally:
            await child.stop(0.0)
            self.written = acknowledged(self.log)
        if len(self.written) < WRITES:
            self.trouble = f"the client could not write everything: {len(self.written)} of {WRITES}, {how}"
        elif self.before >= WRITES:
            self.trouble = "the client had ended before the server died: nothing is shown"

    async def _return(self, scene: Scene) -> None:
        lost = self.lost
        if lost is None or not self.written:
            raise SealiftError("no server was lost")
        if self.began_again is None:
            self.began_again = self.clock()
            await lost.revive()
            await start_daemon(lost)
        if not read_status(host_layout(lost.place.home)).ready:
            raise SealiftError("the server is not ready again", where=lost.place.name)
        await _all_vote(self.servers)
        names = frozenset((await EtcdOf(lost.machine).view(_PREFIX)).names)
        if behind := self.written.keys() - names:
            raise SealiftError("it has not caught up", where=lost.place.name, got=f"{len(behind)} are missing")
        self.back = self.clock() - self.began_again


def acknowledged(log: Path) -> dict[str, float]:
    """The client's words so far: name -> seconds of its clock."""
    rows = (line.split() for line in log.read_text().splitlines()) if log.exists() else ()
    return {row[0]: float(row[1]) for row in rows if len(row) == 2 and row[0].startswith("w")}
