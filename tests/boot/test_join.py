"""A server and an agent of the real bundle, each a machine of its own, on one switch that leads nowhere."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import SealiftError
from bundles.platform import from_machine
from bundles.talk import SilentProgress
from bundles.trust import Trust
from runtime.layout import DEFAULT_DATA_DIR
from runtime.process import Child
from runtime.prove.boot import CONFIG, host_layout, write_config
from runtime.prove.cgroups import Group, hierarchies
from runtime.prove.ledger import Ledger, open_ledger
from runtime.prove.mounts import PRIVATE
from runtime.prove.namespaces import Machine, Switch, start_machine, start_switch
from runtime.prove.network import Port
from runtime.stage import stage
from tests.support.programs import SYSTEM_PATH

pytestmark = pytest.mark.real
ENV = {"PATH": SYSTEM_PATH, "HOME": "/run/tmp", "TMPDIR": "/run/tmp"}
HIERARCHIES = hierarchies(Path("/proc/self/mountinfo").read_text())
SECONDS = 240.0
NODE = "from runtime.cli import main; main()"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
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
    config: dict[str, str] = field(default_factory=dict)
    daemon: Child | None = None

    @property
    def log(self) -> Path:
        return self.machine.home / f"{self.role}.log"

    async def start(self) -> None:
        write_config(self.machine.home, {"node-name": self.machine.name, **self.config})
        words = [self.role, "--data-dir", str(DEFAULT_DATA_DIR), "--config", str(CONFIG)]
        argv = [sys.executable, "-P", "-c", NODE, *words]
        self.daemon = await self.machine.start(argv, log=self.log, env={"PATH": self.machine.env["PATH"]})

    async def stop(self) -> None:
        assert self.daemon is not None
        await self.daemon.stop(20.0)

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
    ledger: Ledger, folder: Path, switch: Switch, bundle: Path, number: int, role: str
) -> AsyncIterator[Joined]:
    name = f"m{number}"
    group = Group(f"sealift-join-{os.getpid()}-{number}", HIERARCHIES)
    ledger.will_make(group=group.name)
    group.make()
    home = folder / name
    home.mkdir()
    layout = host_layout(home)
    layout.data.mkdir(parents=True)
    machine_facts = os.uname()
    stage(
        bundle,
        layout,
        Trust(kind="insecure"),
        platform=from_machine(machine_facts.sysname, machine_facts.machine),
        now=int(time.time()),
        progress=SilentProgress(),
        say=lambda line: None,
    )
    machine = await start_machine(switch, group, name=name, port=Port(number), home=home, env=ENV, ipv6=False)
    try:
        yield Joined(machine, role)
    finally:
        await machine.stop()


@asynccontextmanager
async def site(ledger: Ledger, folder: Path, bundle: Path, *roles: str) -> AsyncIterator[list[Joined]]:
    async with AsyncExitStack() as stack:
        switch = await start_switch(folder / "switch.log", ENV, ipv6=False)
        stack.push_async_callback(switch.child.stop, 0.0)
        yield [
            await stack.enter_async_context(plugged(ledger, folder, switch, bundle, number, role))
            for number, role in enumerate(roles, 1)
        ]


def test_an_agent_joins_is_refused_and_comes_back_while_its_server_is_down(
    ledger: Ledger, tmp_path: Path, rke2_bundle: Path
) -> None:
    async def inside() -> None:
        async with site(ledger, tmp_path, rke2_bundle, "server", "agent") as (server, agent):
            agent.config = {
                "server": f"https://{server.machine.port.address}:9345",
                "token": "K10" + "0" * 64 + "::node:x",
            }
            await agent.start()
            await agent.until_said("no answer")
            await server.start()
            await agent.until_said("another authority than the token names")
            await agent.stop()
            pinned, _, _ = server.secret("node-token").partition("::")
            agent.config["token"] = f"{pinned}::node:wrong"
            await agent.start()
            await agent.until_said("the server refuses the token")
            await agent.stop()
            agent.config["token"] = server.secret("node-token")
            await server.until_ready()
            began = time.monotonic()
            await agent.start()
            await agent.until_ready()
            print(f"agent Ready {time.monotonic() - began:.1f} s after its start")
            nodes = {node["metadata"]["name"] for node in await server.objects("nodes")}
            assert nodes == {"m1", "m2"}
            assert server.secret("token") not in agent.log.read_text() + server.log.read_text()
            await _a_stranger_with_the_same_name_is_refused(server)
            await server.stop()
            await agent.stop()
            await agent.start()
            await agent.until_said("no server answers, going on with what is known")
            await agent.until_said("kubelet")

    asyncio.run(inside())


async def _a_stranger_with_the_same_name_is_refused(server: Joined) -> None:
    try:
        secrets = await server.kubectl("get", "secret", "-n", "kube-system", "m2.node-password.rke2", "-o", "json")
    except SealiftError as exc:
        raise AssertionError("the agent's password is not kept") from exc
    assert json.loads(secrets)["immutable"] is True
