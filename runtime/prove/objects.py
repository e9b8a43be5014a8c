"""Objects of a cluster, as far as a proof looks at them: values decoded from the apiserver's answers. Pure.

Kubernetes API reference v1.34; HelmChart: helm-controller v0.17, pkg/apis/helm.cattle.io/v1.
"""

from datetime import datetime

import msgspec


class _Camel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Field names as in the API; unknown fields are ignored."""


class Owner(_Camel, frozen=True, kw_only=True):
    """Who an object belongs to."""

    kind: str
    name: str


class Meta(_Camel, frozen=True, kw_only=True):
    """Of every object."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    labels: dict[str, str] = {}
    owner_references: list[Owner] = []


class Condition(_Camel, frozen=True, kw_only=True):
    """`status` is True, False or Unknown, as text."""

    type: str
    status: str
    last_heartbeat_time: datetime | None = None
    reason: str = ""
    message: str = ""


class Container(_Camel, frozen=True, kw_only=True):
    """A container of a pod's specification."""

    name: str
    image: str = ""


class Waiting(_Camel, frozen=True, kw_only=True):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class ContainerState(_Camel, frozen=True, kw_only=True):
    """Only the waiting state matters here."""

    waiting: Waiting | None = None


class ContainerStatus(_Camel, frozen=True, kw_only=True):
    """A container as it is."""

    name: str
    ready: bool = False
    restart_count: int = 0
    image: str = ""
    state: ContainerState = ContainerState()


class PodSpec(_Camel, frozen=True, kw_only=True):
    """Where a pod runs, and what."""

    node_name: str = ""
    containers: list[Container] = []
    init_containers: list[Container] = []


class PodStatus(_Camel, frozen=True, kw_only=True):
    """How a pod stands."""

    phase: str = ""
    conditions: list[Condition] = []
    container_statuses: list[ContainerStatus] = []
    init_container_statuses: list[ContainerStatus] = []


class Pod(_Camel, frozen=True, kw_only=True):
    """A pod."""

    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def title(self) -> str:
        """`namespace/name`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def ready(self) -> bool:
        """Its Ready condition."""
        return is_true(self.status.conditions, "Ready")

    @property
    def images(self) -> tuple[str, ...]:
        """The images it asks for, as it spells them."""
        return tuple(container.image for container in (*self.spec.init_containers, *self.spec.containers))


class NodeStatus(_Camel, frozen=True, kw_only=True):
    """How a node stands."""

    conditions: list[Condition] = []


class Node(_Camel, frozen=True, kw_only=True):
    """A node."""

    metadata: Meta
    status: NodeStatus = NodeStatus()


class WorkloadSpec(_Camel, frozen=True, kw_only=True):
    """Of a Deployment or StatefulSet."""

    replicas: int = 1


class WorkloadStatus(_Camel, frozen=True, kw_only=True):
    """Of a Deployment, StatefulSet or DaemonSet: the counts each of them has."""

    observed_generation: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    desired_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0


class Workload(_Camel, frozen=True, kw_only=True):
    """A Deployment, StatefulSet or DaemonSet."""

    metadata: Meta
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()


class JobStatus(_Camel, frozen=True, kw_only=True):
    """How a job stands."""

    succeeded: int = 0
    conditions: list[Condition] = []


class Job(_Camel, frozen=True, kw_only=True):
    """A job."""

    metadata: Meta
    status: JobStatus = JobStatus()


class ChartStatus(_Camel, frozen=True, kw_only=True):
    """How a HelmChart stands."""

    job_name: str = ""


class HelmChart(_Camel, frozen=True, kw_only=True):
    """A HelmChart of the helm controller."""

    metadata: Meta
    status: ChartStatus = ChartStatus()


class Event(_Camel, frozen=True, kw_only=True):
    """Something that was told of an object."""

    metadata: Meta
    reason: str = ""
    message: str = ""


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """All of it at one moment; `known` False: the apiserver does not answer yet, or not to everything."""

    known: bool = False
    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    deployments: tuple[Workload, ...] = ()
    daemon_sets: tuple[Workload, ...] = ()
    stateful_sets: tuple[Workload, ...] = ()
    jobs: tuple[Job, ...] = ()
    charts: tuple[HelmChart, ...] = ()
    pulls: tuple[Event, ...] = ()


def is_true(conditions: list[Condition], kind: str) -> bool:
    """Whether the condition is there and True."""
    return any(condition.type == kind and condition.status == "True" for condition in conditions)
