"""The first process of a machine: it mounts what the machine sees, says so, and then only buries the dead.

Started in fresh namespaces as `python -P -m runtime.prove.machine SPEC`. Everything in its process namespace ends with
it. A shim that lost containerd becomes its child: somebody must wait for it.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from bundles.files import os_errors
from runtime.process import call
from runtime.prove.cgroups import FOLDER, Hierarchy
from runtime.prove.mounts import RUN_FOLDERS, Mount, plan

READY: Final = Path("/run/machine.ready")
_FORWARDING: Final = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")


@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """A machine: its host name, its folder in the proof, and the control groups it sees."""

    name: str
    home: Path
    hierarchies: tuple[Hierarchy, ...]

    def encode(self) -> bytes:
        """As the machine's first process reads it."""
        groups = [[str(hierarchy.mount), hierarchy.options] for hierarchy in self.hierarchies]
        fields = {"name": self.name, "home": str(self.home), "hierarchies": groups}
        return json.dumps(fields).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Spec":
        """What `encode` wrote."""
        fields = json.loads(data)
        groups = tuple(Hierarchy(mount=Path(mount), options=options) for mount, options in fields["hierarchies"])
        return cls(name=fields["name"], home=Path(fields["home"]), hierarchies=groups)


async def furnish(spec: Spec, env: Mapping[str, str]) -> None:
    """Mounts, host name, forwarding. Raises SealiftError with the command that failed."""
    socket.sethostname(spec.name)
    for mount in plan(spec.home, spec.hierarchies):
        target = _place(mount)
        if mount.options == "rshared":
            await call(["mount", "--make-rshared", str(target)], env=env, what="machine")
        else:
            argv = mount.argv if target == mount.target else (*mount.argv[:-1], str(target))
            await call(argv, env=env, what="machine")
        if mount.target == Path("/run"):
            for name in RUN_FOLDERS:
                (mount.target / name).mkdir()
    for name in _FORWARDING:
        path = Path("/proc/sys/net") / name
        if path.exists():
            path.write_text("1\n")
    _step_aside(spec)


def _place(mount: Mount) -> Path:
    """The target, made where the machine's own memory holds it: /etc/resolv.conf may be a link into /run."""
    target = Path(os.path.realpath(mount.target))
    if mount.folder:
        target.mkdir(parents=True, exist_ok=True)
    elif Path("/run") in target.parents and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    return target


def _step_aside(spec: Spec) -> None:
    """Version 2 alone: a group with processes hands no controllers down; ours move into a child, as in any container.

    Linux Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint".
    """
    if [hierarchy.mount for hierarchy in spec.hierarchies] != [FOLDER]:
        return
    child = FOLDER / "machine"
    child.mkdir()
    for pid in (FOLDER / "cgroup.procs").read_text().split():
        (child / "cgroup.procs").write_text(pid)
    for controller in (FOLDER / "cgroup.controllers").read_text().split():
        (FOLDER / "cgroup.subtree_control").write_text(f"+{controller}")


def bury() -> None:
    """Waits for children that end, whoever they were, until told to end."""
    watched = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        if signal.sigwait(watched) is not signal.SIGCHLD:
            return


def main() -> int:
    """Exit code; talk on stderr, which is a file of the proof."""
    path = Path(sys.argv[1])
    try:
        with os_errors(path):
            spec = Spec.decode(path.read_bytes())
        with os_errors("machine"):
            asyncio.run(furnish(spec, {"PATH": os.environ["PATH"]}))
            READY.touch()
    except SealiftError as exc:
        print(exc, file=sys.stderr)
        return 1
    bury()
    return 0


if __name__ == "__main__":
    sys.exit(main())
