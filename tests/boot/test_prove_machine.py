"""Machines of namespaces, without any bundle: they see nothing of the host, reach nobody, and leave nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bundles.errors import SealiftError
from runtime.process import Child
from runtime.prove.cgroups import Group, hierarchies
from runtime.prove.footprint import differences, look, still_there
from runtime.prove.isolation import Watch, control
from runtime.prove.ledger import Ledger, open_ledger
from runtime.prove.mounts import PRIVATE, SYSCTLS
from runtime.prove.namespaces import Held, Machine, Switch, start_machine, start_switch
from runtime.prove.network import GATEWAY, Port
from tests.support.programs import SYSTEM_PATH

pytestmark = pytest.mark.real
ENV = {"PATH": SYSTEM_PATH, "HOME": "/run/tmp", "TMPDIR": "/run/tmp"}
HIERARCHIES = hierarchies(Path("/proc/self/mountinfo").read_text())
IPV6 = Path("/proc/sys/net/ipv6").is_dir()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Mount points and a group, taken back at the end, whatever happens."""
    # The host's mount points must not vanish under a whole proof that runs beside this test.
    with open_ledger(HIERARCHIES, print), open_ledger(HIERARCHIES, print, tmp_path / "ledger") as own:
        own.make_mount_points(PRIVATE)
        try:
            yield own
        finally:
            own.take_back(HIERARCHIES)
            assert own.left(HIERARCHIES) == ()


@asynccontextmanager
async def running(ledger: Ledger, tmp_path: Path) -> AsyncIterator[tuple[Switch, Machine]]:
    group = Group(f"sealift-test-{tmp_path.name}-{os.getpid()}", HIERARCHIES)
    ledger.will_make(group=group.name)
    group.make()
    home = tmp_path / "machine"
    home.mkdir()
    switch = await start_switch(tmp_path / "switch.log", ENV, ipv6=IPV6)
    try:
        machine = await start_machine(switch, group, name="m1", port=Port(1), home=home, env=ENV, ipv6=IPV6)
        try:
            yield switch, machine
        finally:
            await machine.stop()
    finally:
        await switch.child.stop(0.0)


def test_a_machine_is_one_of_its_own(ledger: Ledger, tmp_path: Path) -> None:
    async def inside() -> None:
        async with running(ledger, tmp_path) as (_, machine):
            assert (await machine.call(["hostname"])).text == "m1\n"
            processes = (await machine.call(["ps", "-e", "-o", "pid="])).text.split()
            assert processes[0] == "1" and len(processes) == 2
            assert (await machine.call(["cat", "/etc/resolv.conf"])).text == f"nameserver {GATEWAY}\n"
            links = (await machine.call(["ip", "-br", "link"])).text
            assert [line.split()[0].partition("@")[0] for line in links.splitlines()] == ["lo", "eth0"]
            assert (await machine.call(["ls", "/run/docker.sock"], check=False)).code != 0
            groups = tmp_path / "groups.log"
            child = await machine.start(["cat", "/proc/self/cgroup"], log=groups)
            await child.wait()
            assert {line.rpartition(":")[2] for line in groups.read_text().split()} == {"/"}

    asyncio.run(inside())


def test_it_writes_nowhere_on_the_host_and_sets_none_of_its_sysctls(ledger: Ledger, tmp_path: Path) -> None:
    async def inside() -> None:
        async with running(ledger, tmp_path) as (_, machine):
            refused = await machine.call(["touch", "/etc/something"], check=False)
            assert b"Read-only" in refused.stderr
            await machine.call(["touch", "/var/log/something", "/run/something"])
            assert (machine.home / "log/something").exists()
            for name in SYSCTLS:
                await machine.call(["sh", "-c", f"echo 77 > /proc/sys/{name}"])
                assert (await machine.call(["cat", f"/proc/sys/{name}"])).text == "77\n"

    before = look("")
    asyncio.run(inside())
    assert differences(before, look("")) == ()


def test_what_wants_out_is_counted_and_goes_nowhere(ledger: Ledger, tmp_path: Path) -> None:
    async def inside() -> None:
        async with running(ledger, tmp_path) as (switch, machine):
            watch = Watch(switch)
            await watch.reset()
            assert (await watch.read()).packets == 0
            assert await control(watch, machine, ipv6=IPV6)
            found = await watch.read()
            assert found.dns == 1 and "192.0.2.1 udp 9" in found.wanted
            script = "import socket; socket.create_connection(('203.0.113.5', 443), 0.3)"
            refused = await machine.call([sys.executable, "-I", "-c", script], check=False)
            assert refused.code != 0
            assert "203.0.113.5 tcp 443" in (await watch.read()).wanted
            await watch.reset()
            assert (await watch.read()).packets == 0

    asyncio.run(inside())


def test_containerd_runs_in_it_and_is_gone_with_it(ledger: Ledger, tmp_path: Path) -> None:
    held, started = Held(), list[Child]()

    async def inside() -> None:
        async with running(ledger, tmp_path) as (_, machine):
            held.add(machine.first)
            config = machine.home / "etc-rancher" / "containerd.toml"
            config.write_text('version = 2\nroot = "/var/lib/rancher/c"\nstate = "/run/c"\n')
            log = tmp_path / "containerd.log"
            started.append(await machine.start(["containerd", "-c", "/etc/rancher/containerd.toml"], log=log))
            for _ in range(300):
                answer = await machine.call(["ctr", "version"], check=False)
                if answer.code == 0:
                    break
                await asyncio.sleep(0.1)
            assert b"Server:" in answer.stdout, log.read_text()[-2000:]
            assert len(machine.group.processes()) >= 2
            assert len(still_there(held.names, ())) >= 2

    asyncio.run(inside())
    assert [child.process.returncode for child in started] == [-9]
    assert still_there(held.names, ("sealift-test-", str(tmp_path))) == ()
    held.close()


def test_orphans_are_buried(ledger: Ledger, tmp_path: Path) -> None:
    async def inside() -> None:
        async with running(ledger, tmp_path) as (_, machine):
            await machine.call(["sh", "-c", "(setsid sleep 0.1 &)"])
            for _ in range(100):
                if "sleep" not in (processes := (await machine.call(["ps", "-e"])).text):
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(processes)

    asyncio.run(inside())


def test_a_machine_that_cannot_be_made_says_why(ledger: Ledger, tmp_path: Path) -> None:
    async def inside() -> None:
        (tmp_path / "machine").mkdir()
        switch = await start_switch(tmp_path / "switch.log", ENV, ipv6=False)
        group = Group("sealift-test-never-made", HIERARCHIES)
        try:
            await start_machine(switch, group, name="m1", port=Port(1), home=tmp_path / "machine", env=ENV, ipv6=False)
        finally:
            await switch.child.stop(0.0)

    with pytest.raises(SealiftError, match="could not be made"):
        asyncio.run(inside())


_HOLD = """
import asyncio, sys
from pathlib import Path
from runtime.prove.cgroups import Group
from tests.boot import test_prove_machine as t
async def hold(tmp):
    context = t.open_ledger(t.HIERARCHIES, print, tmp / "own")
    ledger = context.__enter__()
    work = tmp / "work"
    ledger.will_make(work=work)
    work.mkdir()
    async with t.running(ledger, tmp) as (switch, machine):
        print(switch.child.pid, machine.first, machine.group.name, flush=True)
        await asyncio.sleep(600)
asyncio.run(hold(Path(sys.argv[1])))
"""


def test_a_proof_that_is_killed_takes_its_machine_along_and_the_next_one_cleans_up(
    ledger: Ledger, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        switch, first, name = process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
    for _ in range(200):
        if not any(Path(f"/proc/{pid}").exists() for pid in (switch, first)):
            break
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in (switch, first))
    assert Group(name, HIERARCHIES).left() and (tmp_path / "work").exists()
    with open_ledger(HIERARCHIES, print, tmp_path / "own"):
        assert not Group(name, HIERARCHIES).left()
        assert not (tmp_path / "work").exists()
    assert not (tmp_path / "own").exists()
