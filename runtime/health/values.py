"""What is known of a node and its cluster at one moment. Pure values; nothing in them is secret."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["warning", "critical"]


@dataclass(frozen=True, order=True, slots=True)
class Certificate:
    """A certificate's file, relative to the data directory, and when it ends (epoch seconds)."""

    path: str
    ends: int


@dataclass(frozen=True, slots=True)
class Disk:
    """The filesystem of `path`: `size` and `free` (for programs without privileges) in bytes."""

    path: str
    size: int
    free: int


@dataclass(frozen=True, order=True, slots=True)
class NodeView:
    """A Node as the cluster tells it; `roles` in kubectl's order, empty for agents."""

    name: str
    ready: bool
    roles: tuple[str, ...] = ()
    version: str = ""
    address: str = ""


@dataclass(frozen=True, order=True, slots=True)
class MemberView:
    """A member of etcd: `node` it runs on, empty while it never started; a learner does not vote."""

    name: str
    node: str
    learner: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Etcd:
    """etcd as this server sees it: `database` in bytes; `troubles` are its own alarms."""

    members: tuple[MemberView, ...]
    leader: bool
    database: int
    troubles: tuple[str, ...] = ()

    @property
    def voters(self) -> tuple[MemberView, ...]:
        """The members that vote."""
        return tuple(member for member in self.members if not member.learner)

    @property
    def quorum(self) -> int:
        """How many voters have to be there."""
        return len(self.voters) // 2 + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Everything that was found at `now` (epoch seconds).

    `nodes`: None when nobody said; on an agent its own Node alone. `etcd`: of servers, None when it does not answer.
    `expires`: of the admitted bundle.
    """

    now: int
    bundle: str = ""
    expires: int | None = None
    certificates: tuple[Certificate, ...] = ()
    disks: tuple[Disk, ...] = ()
    nodes: tuple[NodeView, ...] | None = None
    etcd: Etcd | None = None

    @property
    def spare(self) -> int | None:
        """How many more voters may be lost: those on Nodes that are Ready, less the quorum. None when not known."""
        if self.etcd is None or self.nodes is None:
            return None
        ready = {node.name for node in self.nodes if node.ready}
        return sum(member.node in ready for member in self.etcd.voters) - self.etcd.quorum


@dataclass(frozen=True, kw_only=True, order=True, slots=True)
class Alarm:
    """Something to be looked at. `kind`: certificate, bundle, disk, quorum, etcd or node."""

    severity: Severity
    kind: str
    subject: str
    message: str
