"""Several machines of the real bundle, each with a daemon of either role, on one switch that leads nowhere."""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundles.talk import SilentProgress
from bundles.trust import Trust
from runtime.host import platform
from runtime.layout import DEFAULT_DATA_DIR, NodeLayout
from runtime.process import Child
from runtime.prove.boot import CONFIG, host_layout, write_config
from runtime.prove.cgroups import Group, hierarchies
from runtime.prove.ledger import Ledger, open_ledger
from runtime.prove.mounts import PRIVATE
from runtime.prove.namespaces import Machine, Switch, start_machine, start_switch
from runtime.prove.network import Port
from runtime.stage import stage
from tests.support.programs import SYSTEM_PATH

ENV = {"PATH": SYSTEM_PATH, "HOME": "/run/tmp", "TMPDIR": "/run/tmp"}
HIERARCHIES = hierarchies(Path("/proc/self/mountinfo").read_text())
SECONDS = 240.0
NODE = "from runtime.cli import main; main()"
VALUES = """
import asyncio, base64, sys
from runtime.daemon.api import Identity
from runtime.etcd.gateway import Gateway
tls, name = "/var/lib/rancher/rke2/server/tls/etcd/", sys.argv[1].encode()
identity = Identity(authority=tls + "server-ca.crt", certificate=tls + "client.crt", key=tls + "client.key")
begin, end = (base64.b64encode(key).decode() for key in (name, name[:-1] + bytes([name[-1] + 1])))
asked = {"key": begin, "range_end": end, "serializable": True}
found = asyncio.run(Gateway(url="https://127.0.0.1:2382", identity=identity).call("kv/range", asked))
print(*(row["value"] for row in found["kvs"]), sep="\\n")
"""


@contextmanager
def held_ledger(tmp_path: Path) -> Iterator[Ledger]:
    """The one ledger of boots on this machine, and one of this test's own, which is taken back at the end."""
    with open_ledger(HIERARCHIES, print), open_ledger(HIERARCHIES, print, tmp_path / "ledger") as own:
        own.make_mount_points(PRIVATE)
        try:
            yield own
        finally:
            own.take_back(HIERARCHIES)


@dataclass
class Joined:
    """A machine with a staged bundle and its daemon, of either role."""

    machine: Machine
    role: str
    number: int
    again: Callable[[], Awaitable[Machine]]
    config: dict[str, str] = field(default_factory=dict)
    daemon: Child | None = None

    @property
    def log(self) -> Path:
        return self.machine.home / f"{self.role}.log"

    @property
    def url(self) -> str:
        return f"https://{self.machine.port.address}:9345"

    async def start(self, *flags: str) -> None:
        self.configure()
        words = [self.role, "--data-dir", str(DEFAULT_DATA_DIR), "--config", str(CONFIG), *flags]
        argv = [sys.executable, "-P", "-c", NODE, *words]
        self.daemon = await self.machine.start(argv, log=self.log, env={"PATH": self.machine.env["PATH"]})

    def configure(self) -> None:
        """Writes its config.yaml, which `start` does, too."""
        write_config(self.machine.home, {"node-name": self.machine.name, **self.config})

    async def die(self) -> None:
        """Every process ends at once, as when the power goes."""
        await self.machine.stop()
        self.machine.group.remove()  # a power cut leaves no control groups; a kubelet waits for what they held

    async def revive(self) -> None:
        """The machine with its disk; the daemon is started apart."""
        self.machine.group.make()
        self.machine = await self.again()
        self.log.rename(self.log.with_suffix(f".{time.monotonic_ns()}"))

    async def stop(self) -> None:
        assert self.daemon is not None
        await self.daemon.stop(20.0)

    async def node_command(self, *words: str, check: bool = True, stderr: bool = False, timeout: float = 240.0) -> str:
        """A command of ours in the machine; its stdout, or what it says on stderr."""
        argv = [sys.executable, "-P", "-c", NODE, *words, "--data-dir", str(DEFAULT_DATA_DIR)]
        output = await self.machine.call(argv, check=check, timeout=timeout)
        return output.stderr.decode() if stderr else output.text

    async def etcd(self, prefix: str) -> list[bytes]:
        """The values of all keys below a prefix, as this server's etcd has them."""
        output = await self.machine.call([sys.executable, "-P", "-c", VALUES, prefix])
        return [base64.b64decode(line) for line in output.text.splitlines()]

    async def status(self) -> dict[str, Any]:
        argv = [sys.executable, "-P", "-c", NODE, "status", "--json", "--data-dir", str(DEFAULT_DATA_DIR)]
        output = await self.machine.call(argv, check=False, timeout=120.0)
        found: dict[str, Any] = json.loads(output.text)
        return found

    async def until_ready(self) -> None:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if (await self.status())["ready"]:
                return
            await asyncio.sleep(0.5)
        raise AssertionError(self.log.read_text()[-6000:])

    async def until_said(self, words: str) -> None:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if words in self.log.read_text():
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"never said: {words}\n{self.log.read_text()[-6000:]}")

    def secret(self, name: str) -> str:
        return (host_layout(self.machine.home).server / name).read_text().strip()

    async def kubectl(self, *words: str, check: bool = True) -> str:
        argv = [str(DEFAULT_DATA_DIR / "bin/kubectl"), "--kubeconfig=/etc/rancher/rke2/rke2.yaml", *words]
        return (await self.machine.call(argv, timeout=120.0, check=check)).text

    async def objects(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(await self.kubectl("get", *words, "-o", "json"))["items"]
        return found


@asynccontextmanager
async def plugged(
    ledger: Ledger, folder: Path, switch: Switch, bundle: Path, number: int, role: str, *, bare: bool = False
) -> AsyncIterator[Joined]:
    name = f"m{number}"
    group = Group(f"sealift-join-{os.getpid()}-{number}", HIERARCHIES)
    ledger.will_make(group=group.name)
    group.make()
    home = folder / name
    home.mkdir()
    layout = host_layout(home)
    layout.data.mkdir(parents=True)
    if not bare:
        _stage(bundle, layout)

    async def start() -> Machine:
        return await start_machine(switch, group, name=name, port=Port(number), home=home, env=ENV, ipv6=False)

    joined = Joined(await start(), role, number, start)
    try:
        yield joined
    finally:
        await joined.machine.stop()


def _stage(bundle: Path, layout: NodeLayout) -> None:
    stage(
        bundle,
        layout,
        Trust(kind="insecure"),
        platform=platform(),
        now=int(time.time()),
        progress=SilentProgress(),
        say=lambda line: None,
    )


@asynccontextmanager
async def site(
    ledger: Ledger, folder: Path, bundle: Path, *roles: str, bare: Collection[int] = ()
) -> AsyncIterator[list[Joined]]:
    """Machines with these roles, numbered from 1; those in `bare` get no bundle."""
    async with AsyncExitStack() as stack:
        switch = await start_switch(folder / "switch.log", ENV, ipv6=False)
        stack.push_async_callback(switch.child.stop, 0.0)
        yield [
            await stack.enter_async_context(plugged(ledger, folder, switch, bundle, number, role, bare=number in bare))
            for number, role in enumerate(roles, 1)
        ]
