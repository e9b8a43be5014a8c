"""Machines that do not exist: namespaces of network, mounts, processes, host name, IPC and control groups.

No namespace has a name. Each lives as long as its first process, and that one dies with us: a kill -9 of the proof
takes the whole machine, its mounts and its network with it. Programs come from iproute2, nftables and util-linux.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from bundles.files import os_errors, write_atomic
from runtime.folders import ensure_folder
from runtime.process import Child, Output, call, feed_bytes, start
from runtime.prove import network
from runtime.prove.cgroups import Group, entering
from runtime.prove.machine import READY, Spec
from runtime.prove.mounts import PRIVATE, PRIVATE_FILES, SYSCTLS, sysctl_file
from runtime.prove.network import Port

_PATIENCE: Final = 30.0  # seconds for a machine to furnish itself
_FLAGS: Final = {"mnt": "-m", "uts": "-u", "ipc": "-i", "net": "-n", "pid": "-p", "cgroup": "-C"}
_HELD: Final = ("uts", "ipc", "pid", "cgroup")
_TAIL: Final = 2000  # characters of a log in an error


@dataclass(frozen=True, kw_only=True, slots=True)
class Namespaces:
    """The namespaces of a running process; `pid` as the host counts. They are entered with nsenter(1)."""

    pid: int

    def inside(self, argv: Sequence[str | os.PathLike[str]], kinds: Sequence[str] = tuple(_FLAGS)) -> tuple[str, ...]:
        """The command that runs `argv` inside. Pure."""
        flags = [_FLAGS[kind] for kind in kinds]
        return ("nsenter", "-t", str(self.pid), *flags, "--", *(os.fspath(word) for word in argv))


@dataclass(kw_only=True, slots=True)
class Held:
    """Namespaces held open, so that the kernel gives their numbers to no others while somebody compares them.

    Those of mounts and networks are not: held open they would keep what is to be taken down. Whoever stays in one of
    them stays in one of these, too, or in the machine's control group.
    """

    names: frozenset[str] = frozenset()
    _files: list[int] = field(default_factory=list)

    def add(self, pid: int) -> None:
        """Holds the namespaces of a process, but those that are also this very process'; none of one that has ended."""
        own = namespaces_of(os.getpid())
        for kind in _HELD:
            with contextlib.suppress(OSError):
                self._files.append(file := os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC))
                self.names |= {f"{kind}:[{os.fstat(file).st_ino}]"} - own

    def close(self) -> None:
        """Lets go of them."""
        while self._files:
            os.close(self._files.pop())
        self.names = frozenset()


def namespaces_of(pid: int) -> frozenset[str]:
    """The namespaces of a process, named as the kernel does (namespaces(7)); empty when it has ended."""
    found = set()
    for kind in (*_FLAGS, "pid_for_children"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
    return frozenset(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """The network namespace with the bridge; it has no uplink, and nobody runs in it."""

    child: Child
    namespaces: Namespaces
    env: Mapping[str, str] = field(repr=False)

    async def run(self, argv: Sequence[str], text: str = "") -> Output:
        """Runs a program of the host in the switch's network; `text` is its standard input."""
        feed = feed_bytes(text.encode()) if text else None
        return await call(self.namespaces.inside(argv, ("net",)), env=self.env, feed=feed, what="switch")


async def start_switch(log: Path, env: Mapping[str, str], *, ipv6: bool) -> Switch:
    """Starts the switch; `log` takes what its process says."""
    child = await start(["unshare", "--net", "--", "sleep", "infinity"], env=env, log=log, what="switch")
    switch = Switch(child=child, namespaces=Namespaces(pid=child.pid), env=env)
    try:
        await _until_unshared(child, log)
        await switch.run(["/bin/sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"])
        await switch.run(["ip", "-batch", "-"], network.switch_batch(ipv6))
    except BaseException:
        await child.stop(0.0)
        raise
    return switch


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A running machine: `home` is its folder on the host, `first` the host's id of its first process."""

    name: str
    port: Port
    home: Path
    group: Group
    child: Child
    first: int
    env: Mapping[str, str] = field(repr=False)
    _started: list[Child] = field(default_factory=list, repr=False)

    @property
    def namespaces(self) -> Namespaces:
        """Its namespaces."""
        return Namespaces(pid=self.first)

    def outside(self, path: Path) -> Path:
        """A path of the machine as the host reaches it."""
        return Path(f"/proc/{self.first}/root") / path.relative_to("/")

    async def call(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        feed: bytes | None = None,
        timeout: float = 60.0,
        check: bool = True,
        network_of: "Switch | None" = None,
        env: Mapping[str, str] | None = None,
    ) -> Output:
        """Runs a program of the machine to its end; with `network_of` in the switch's network, as a neighbour would."""
        command = self.namespaces.inside(argv)
        if network_of is not None:
            kinds = tuple(kind for kind in _FLAGS if kind != "net")
            command = network_of.namespaces.inside(self.namespaces.inside(argv, kinds), ("net",))
        given = None if feed is None else feed_bytes(feed)
        return await call(
            command, env={**self.env, **(env or {})}, feed=given, timeout=timeout, check=check, what=self.name
        )

    async def start(
        self, argv: Sequence[str | os.PathLike[str]], *, log: Path, env: Mapping[str, str] | None = None
    ) -> Child:
        """Starts a program in the machine's namespaces and control groups; it ends with the machine, or with us."""
        words = ["setpriv", "--pdeathsig", "KILL", "--", *(os.fspath(word) for word in argv)]
        command = entering(self.group.doors, self.namespaces.inside(words))
        child = await start(command, env={**self.env, **(env or {})}, log=log, what=self.name)
        self._started.append(child)
        return child

    async def stop(self) -> None:
        """Ends every process of the machine at once: the kernel does it when the first one is killed.

        What was started in it has been waited for then, too.
        """
        with contextlib.suppress(ProcessLookupError):
            if _starts(self.first, self.child.pid):
                os.kill(self.first, signal.SIGKILL)
        await self.child.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await asyncio.gather(*(child.wait() for child in self._started))


def furnish_folder(home: Path, name: str, port: Port) -> None:
    """Makes what the machine mounts from its folder."""
    for folder in (*PRIVATE.values(), "sysctl"):
        ensure_folder(home / folder)
    contents = {"hosts": network.hosts_text(name, port), "resolv.conf": network.resolver_text()}
    for file in PRIVATE_FILES.values():
        write_atomic(home / file, contents[file].encode())
    for sysctl, value in SYSCTLS.items():
        write_atomic(home / sysctl_file(sysctl), f"{value}\n".encode())


async def start_machine(
    switch: Switch, group: Group, *, name: str, port: Port, home: Path, env: Mapping[str, str], ipv6: bool
) -> Machine:
    """Starts a machine and plugs it in. `group` is made already. Raises SealiftError with what its process said."""
    log, spec = home / "machine.log", home / "machine.json"
    furnish_folder(home, name, port)
    write_atomic(spec, Spec(name=name, home=home, hierarchies=group.hierarchies).encode())
    unshare = ["unshare", *(f"--{kind}" for kind in ("net", "mount", "uts", "ipc", "cgroup", "pid"))]
    unshare += ["--fork", "--kill-child", "--propagation", "private", "--"]
    first = [sys.executable, "-P", "-m", "runtime.prove.machine", str(spec)]
    child = await start(entering(group.doors, [*unshare, *first]), env=env, log=log, what=name)
    try:
        pid = await _first_process(child, log)
        await switch.run(["ip", "-batch", "-"], network.plug_batch(port, pid))
        batch = network.machine_batch(port, ipv6)
        inside = Namespaces(pid=pid).inside(["ip", "-batch", "-"], ("net",))
        await call(inside, env=env, feed=feed_bytes(batch.encode()), what=name)
        machine = Machine(name=name, port=port, home=home, group=group, child=child, first=pid, env=env)
        await _until(lambda: machine.outside(READY).exists(), child, log)
    except BaseException:
        await child.stop()
        raise
    return machine


async def _first_process(child: Child, log: Path) -> int:
    """The only child of `unshare --fork`, once it is there: the namespaces are there then."""
    await _until(lambda: bool(_children(child.pid)), child, log)
    return _children(child.pid)[0]


async def _until_unshared(child: Child, log: Path) -> None:
    ours = os.readlink("/proc/self/ns/net")
    await _until(lambda: os.readlink(f"/proc/{child.pid}/ns/net") != ours, child, log)


async def _until(reached: Callable[[], bool], child: Child, log: Path) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if reached():
                        return
                if child.process.returncode is not None:
                    raise SealiftError("a machine could not be made", where=log, got=log_tail(log))
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise SealiftError(f"no machine within {_PATIENCE:g} s", where=log, got=log_tail(log)) from None


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _starts(pid: int, parent: int) -> bool:
    """Whether `pid` still is a child of `parent`: ids are given again, and a wrong one must never be killed."""
    with contextlib.suppress(OSError):
        return pid in _children(parent)
    return False


def log_tail(log: Path) -> str:
    """The end of a log, for an error."""
    with os_errors(log), contextlib.suppress(FileNotFoundError):
        return log.read_text(errors="replace").strip()[-_TAIL:]
    return ""
