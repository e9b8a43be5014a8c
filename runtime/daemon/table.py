"""The lifecycle of a node as a table: what each stage needs, what it gives, how it runs and what its end means.

RKE2's order (docs "Anatomy of a Next Generation Kubernetes Distribution", Process Lifecycle): content, containerd,
images, kubelet, then the control plane as static pods, each after what it talks to. `status`, the documentation and
the runner read the same table. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from runtime.nodeconf.model import Role

BOTH: Final[tuple[Role, ...]] = ("server", "agent")
SERVER: Final[tuple[Role, ...]] = ("server",)
AGENT: Final[tuple[Role, ...]] = ("agent",)


class Kind(Enum):
    """How a stage runs."""

    TASK = "task"  # does its work and ends; then it gives
    SERVICE = "service"  # gives when it is up, and runs until the node stops


class OnFailure(Enum):
    """What it means when a task fails, or when a service ends in whatever way."""

    STOP = "stop"  # the node stops: nothing sensible is left to do
    AGAIN = "again"  # once more, after a pause that doubles


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """Seconds before the next attempt: `first`, doubled each time up to `most`; after `steady` seconds up, `first`."""

    first: float = 0.5
    most: float = 15.0
    steady: float = 30.0

    def after(self, failures: int) -> float:
        """The pause after so many failures in a row (at least one)."""
        return min(self.most, self.first * 2.0 ** min(failures - 1, 30))


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One row: `name` is also the condition it gives; `needs` are conditions; `text` says what it does."""

    name: str
    text: str
    needs: tuple[str, ...] = ()
    kind: Kind = Kind.TASK
    failure: OnFailure = OnFailure.AGAIN
    pause: Pause = Pause()
    roles: tuple[Role, ...] = BOTH


# k3s asks every 2 s, for ever; a refused token is asked about less and less often.
_JOIN_PAUSE: Final = Pause(first=2.0, most=10.0)
# RKE2 looks after a kubelet that ended every 5 s (pkg/executor/staticpod, Kubelet).
_KUBELET_PAUSE: Final = Pause(first=0.5, most=5.0)
_POLITE: Final = Pause(first=2.0, most=60.0)

STAGES: Final = (
    Stage(
        name="balancer",
        text="listens on loopback for this machine's programs, and passes them on to servers that live",
        kind=Kind.SERVICE,
        roles=AGENT,
    ),
    Stage(
        name="bundle",
        text="fetches the bundle of the server that is joined, where none is staged",
        needs=("balancer",),
        pause=_POLITE,
    ),
    Stage(
        name="content",
        text="unpacks the runtime image: programs, charts, the `bin` link",
        needs=("bundle",),
        failure=OnFailure.STOP,
    ),
    Stage(
        name="join",
        text="asks a server for what the cluster has decided: agents get certificates, further servers its keys",
        needs=("balancer",),
        pause=_JOIN_PAUSE,
    ),
    Stage(
        name="files",
        text="writes certificates, kubeconfigs and the configuration of containerd, crictl, the kubelet and etcd",
        needs=("bundle", "join"),
        failure=OnFailure.STOP,
    ),
    Stage(
        name="supervisor",
        text="answers machines that join, on port 9345",
        needs=("files",),
        kind=Kind.SERVICE,
        roles=SERVER,
    ),
    Stage(
        name="kernel",
        text="loads modules, turns on forwarding, and remembers the settings that reset puts back",
    ),
    Stage(
        name="archives",
        text="compares the archives in agent/images with what was admitted",
        needs=("bundle",),
    ),
    Stage(
        name="containerd",
        text="runs containerd; up when its CRI answers",
        needs=("content", "files", "kernel"),
        kind=Kind.SERVICE,
        failure=OnFailure.STOP,
    ),
    Stage(
        name="images",
        text="imports, pins and retags the admitted archives; unchanged ones are skipped",
        needs=("archives", "containerd"),
    ),
    Stage(
        name="manifests",
        text="takes away static pods that must wait for others",
        needs=("files",),
        failure=OnFailure.STOP,
    ),
    Stage(name="kube-proxy", text="writes its static pod", needs=("manifests",)),
    Stage(
        name="kubelet",
        text="runs the kubelet, again and again; up when it is healthy",
        needs=("images", "manifests"),
        kind=Kind.SERVICE,
        pause=_KUBELET_PAUSE,
    ),
    Stage(
        name="etcd",
        text="writes its static pod, after joining the others' etcd; up when it is healthy and votes",
        needs=("manifests",),
        roles=SERVER,
    ),
    Stage(
        name="members",
        text="gives learners their vote, and removes members whose Node was deleted",
        needs=("etcd",),
        kind=Kind.SERVICE,
        roles=SERVER,
    ),
    Stage(
        name="snapshots",
        text="writes etcd's database to server/db/snapshots at its times",
        needs=("etcd",),
        kind=Kind.SERVICE,
        roles=SERVER,
    ),
    Stage(
        name="kube-apiserver",
        text="writes its static pod; up when it is ready",
        needs=("etcd",),
        roles=SERVER,
    ),
    Stage(
        name="kube-scheduler",
        text="writes its static pod; up when it is healthy",
        needs=("kube-apiserver",),
        roles=SERVER,
    ),
    Stage(
        name="kube-controller-manager",
        text="writes its static pod; up when it is healthy",
        needs=("kube-apiserver",),
        roles=SERVER,
    ),
    Stage(
        name="helm-controller",
        text="writes its static pod; up when the cluster knows HelmCharts",
        # Its jobs wait for what the controller manager makes first, and that one starts sooner with a core to itself.
        needs=("kube-apiserver", "kube-controller-manager"),
        roles=SERVER,
    ),
    Stage(
        name="sandboxes",
        text="removes pods of etcd and kube-apiserver that an older manifest left running",
        needs=("kubelet",),
        pause=_POLITE,
        roles=SERVER,
    ),
    Stage(
        name="node",
        text="labels the Node with its roles",
        needs=("kubelet", "kube-apiserver"),
        roles=SERVER,
    ),
    Stage(
        name="name",
        text="keeps in the cluster what proves this machine's name, so that no other machine can take it",
        needs=("kube-apiserver",),
        pause=_POLITE,
        roles=SERVER,
    ),
    Stage(
        name="names",
        text="gives the name of a Node that was deleted free for another machine",
        needs=("kube-apiserver",),
        kind=Kind.SERVICE,
        roles=SERVER,
    ),
    Stage(
        name="deploy",
        text="applies server/manifests, and what changes there later",
        needs=("kube-apiserver",),
        kind=Kind.SERVICE,
        roles=SERVER,
    ),
    Stage(
        name="announce",
        text="tells the service manager that the node serves",
        needs=("kubelet", "kube-apiserver"),
    ),
    Stage(
        name="ready",
        text="waits until the Node is Ready by a heartbeat of this run",
        needs=("kubelet", "node"),
    ),
    Stage(
        name="housekeeping",
        text="keeps the logs of containerd and the kubelet small",
        needs=("containerd",),
        kind=Kind.SERVICE,
    ),
)


@dataclass(frozen=True, slots=True)
class Table:
    """The stages of one role, in the order in which they are told. Raises ValueError for a table that cannot work."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for stage in self.stages:
            if missing := [name for name in stage.needs if name not in seen]:
                raise ValueError(f"{stage.name} needs {missing}, which no stage before it gives")
            if stage.name in seen:
                raise ValueError(f"two stages are called {stage.name}")
            seen.add(stage.name)

    def __getitem__(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(stage.name for stage in self.stages)

    def lean_on(self, name: str) -> frozenset[str]:
        """The stages that need `name`, directly or through others: they are stopped first."""
        found = {name}
        for stage in self.stages:  # needs come before their stage: one pass is enough
            if found.intersection(stage.needs):
                found.add(stage.name)
        return frozenset(found - {name})


def table_for(role: Role, *, without: Iterable[str] = (), stages: Sequence[Stage] = STAGES) -> Table:
    """The table of a role, without the named stages; nothing may need those. Needs of another role's fall away."""
    left_out = set(without)
    others = {stage.name for stage in stages if role not in stage.roles}
    return Table(
        tuple(
            replace(stage, needs=tuple(name for name in stage.needs if name not in others))
            for stage in stages
            if role in stage.roles and stage.name not in left_out
        )
    )


def rendered(table: Table) -> str:
    """The table as Markdown, for the documentation."""
    means: Mapping[OnFailure, str] = {OnFailure.STOP: "the node stops", OnFailure.AGAIN: "tried again"}
    lines = ["| stage | needs | what it does | when it fails or ends |", "|---|---|---|---|"]
    for stage in table.stages:
        end = means[stage.failure] if stage.kind is Kind.TASK else means[stage.failure].replace("tried", "started")
        lines.append(f"| {stage.name} | {', '.join(stage.needs) or '-'} | {stage.text} | {end} |")
    return "\n".join(lines) + "\n"
