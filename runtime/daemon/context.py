"""What the stages share: the node's configuration, its programs, and what earlier stages found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bundles.errors import SealiftError
from bundles.platform import Platform
from runtime.choices import Chosen
from runtime.configs.etcd import Membership
from runtime.daemon.api import Identity
from runtime.daemon.archives import Sorting
from runtime.daemon.ctr import Ctr
from runtime.host import HostFacts
from runtime.joining.balancer import Balancers
from runtime.layout import NodeLayout
from runtime.nodeconf.model import NodeConfig
from runtime.nodepaths import NodePaths
from runtime.pki.ensure import Signers
from runtime.staticpods.model import Images

# What only concerns this process: children must not tell systemd anything, nor believe that its sockets are theirs.
_PRIVATE = ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC")


@dataclass(slots=True)
class Found:
    """What stages give to later ones. `config`: with what the cluster has decided, on machines that join one."""

    config: NodeConfig | None = None
    signers: Signers | None = None
    balancers: Balancers | None = None
    bin: Path | None = None
    archives: Sorting | None = None
    images: Images | None = None
    membership: Membership | None = None
    left: bool = False  # this server has etcd's data, and its cluster knows it no more
    chosen: Chosen = field(default_factory=Chosen)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One run of the daemon.

    Args:
        configured: the configuration, checked.
        layout: the data directory.
        host: what the machine said of itself.
        platform: the machine's.
        environment: of this process.
        began: Unix time of the start, seconds.
        clock: seconds that never go back.
        say: one line of talk for the journal.
        allow_unlisted: import archives that no bundle lists.
        found: filled in by the stages.
    """

    configured: NodeConfig
    layout: NodeLayout
    host: HostFacts
    platform: Platform
    environment: Mapping[str, str]
    began: float
    clock: Callable[[], float]
    say: Callable[[str], None]
    allow_unlisted: bool = False
    found: Found = field(default_factory=Found)

    @property
    def config(self) -> NodeConfig:
        """The configuration in force: the machine's own, with what its cluster has decided."""
        return self.found.config or self.configured

    @property
    def paths(self) -> NodePaths:
        """Where the files lie."""
        return self.configured.paths

    @property
    def bin(self) -> Path:
        """The versioned folder of programs: shims are found by it, so never the `bin` link."""
        if self.found.bin is None:
            raise SealiftError("the runtime image is not unpacked yet")
        return self.found.bin

    @property
    def images(self) -> Images:
        """The images of the static pods."""
        if self.found.images is None:
            raise SealiftError("the images are not chosen yet")
        return self.found.images

    @property
    def env(self) -> dict[str, str]:
        """The environment of programs: ours without what is private to us, the bundle's programs first on PATH."""
        return program_environment(self.environment, self.bin)

    @property
    def ctr(self) -> Ctr:
        """containerd."""
        return Ctr(self.paths.socket, self.env)

    @property
    def crictl(self) -> tuple[str, ...]:
        """The beginning of a crictl command."""
        return ("crictl", "--config", str(self.paths.crictl_config))

    @property
    def itself(self) -> Identity:
        """Who may read and mark this machine's Node: the administrator on servers, the kubelet on agents."""
        if self.configured.role == "server":
            return self.admin
        agent = self.paths.agent
        return Identity(
            authority=agent / "server-ca.crt",
            certificate=agent / "client-kubelet.crt",
            key=agent / "client-kubelet.key",
        )

    @property
    def admin(self) -> Identity:
        """The cluster's administrator."""
        tls = self.paths.tls
        return Identity(
            authority=tls / "server-ca.crt", certificate=tls / "client-admin.crt", key=tls / "client-admin.key"
        )


def program_environment(environment: Mapping[str, str], programs: Path) -> dict[str, str]:
    """An environment for a program of the bundle."""
    path = environment.get("PATH") or "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"HOME": "/root", **public_environment(environment), "PATH": f"{programs}:{path}"}


def public_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what is private to this process."""
    return {name: value for name, value in environment.items() if name not in _PRIVATE}


def containerd_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """containerd's: `CONTAINERD_NAME=x` becomes `NAME=x` (k3s pkg/agent/containerd: how proxies are set for it)."""
    prefix = "CONTAINERD_"
    plain = {name: value for name, value in environment.items() if not name.startswith(prefix)}
    renamed = {
        name.removeprefix(prefix): value
        for name, value in environment.items()
        if name.startswith(prefix) and name not in (prefix, f"{prefix}LOG_LEVEL")
    }
    return plain | renamed
