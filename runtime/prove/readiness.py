"""Whether a cluster is what its bundle promised: everything that is still awaited, in words. Pure.

Nothing an earlier run left counts: after a hard stop the apiserver shows the old Ready for almost a minute, so a Node
counts by its heartbeat (k8s node-monitor-grace-period, 50 s).
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from runtime.prove.objects import Cluster, HelmChart, Job, Node, Pod, Workload, is_true

_DONE = "Succeeded"
_PULL_FAILED = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})


def awaited(cluster: Cluster, *, since: datetime, charts: Iterable[str], nodes: Iterable[str] = ()) -> tuple[str, ...]:
    """What is not as it must be yet; empty: all is ready.

    Args:
        cluster: as the apiserver tells it.
        since: the start of this boot; older heartbeats do not count.
        charts: names of the HelmCharts that must be there.
        nodes: names of the Nodes that must be there.
    """
    if not cluster.known:
        return ("the apiserver",)
    waits = [
        *_nodes(cluster.nodes, since, nodes),
        *_charts(cluster, charts),
        *_workloads("deployment", cluster.deployments),
        *_workloads("statefulset", cluster.stateful_sets),
        *(f"daemonset {title(item)}" for item in cluster.daemon_sets if not _daemon_set_ready(item)),
        *(f"pod {pod.title}: {pod_trouble(pod)}" for pod in cluster.pods if not _pod_good(pod)),
    ]
    return tuple(waits)


def failed_jobs(cluster: Cluster) -> tuple[str, ...]:
    """Jobs that ended badly: nothing will make them good."""
    return tuple(title(job) for job in cluster.jobs if is_true(job.status.conditions, "Failed"))


def pull_failed(cluster: Cluster) -> bool:
    """Whether the kubelet tried to get an image somewhere and could not."""
    statuses = [
        s for pod in cluster.pods for s in (*pod.status.init_container_statuses, *pod.status.container_statuses)
    ]
    return any(s.state.waiting is not None and s.state.waiting.reason in _PULL_FAILED for s in statuses)


def node_ready(node: Node, since: datetime) -> bool:
    """Ready, by a heartbeat of this boot."""
    for condition in node.status.conditions:
        if condition.type == "Ready" and condition.status == "True" and condition.last_heartbeat_time is not None:
            return condition.last_heartbeat_time >= since
    return False


def title(item: Workload | Job | HelmChart) -> str:
    """`namespace/name`."""
    return f"{item.metadata.namespace}/{item.metadata.name}"


def pod_trouble(pod: Pod) -> str:
    """Why a pod is not ready, in its own words."""
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if status.state.waiting is not None and status.state.waiting.reason:
            return f"{status.name}: {status.state.waiting.reason}"
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return condition.message or "not scheduled"
    return f"{pod.status.phase or 'unknown'}, not ready"


def _nodes(nodes: Iterable[Node], since: datetime, wanted: Iterable[str]) -> Iterator[str]:
    found = {node.metadata.name: node_ready(node, since) for node in nodes}
    yield from (f"node {name}" for name, ready in found.items() if not ready)
    yield from (f"node {name}" for name in wanted if name not in found)
    if not found:
        yield "a node"


def _charts(cluster: Cluster, wanted: Iterable[str]) -> Iterator[str]:
    there = {chart.metadata.name for chart in cluster.charts}
    yield from (f"chart {name}" for name in wanted if name not in there)
    jobs = {title(job): job for job in cluster.jobs}
    for chart in cluster.charts:
        job = jobs.get(f"{chart.metadata.namespace}/{chart.status.job_name}")
        if not chart.status.job_name or job is None or not is_true(job.status.conditions, "Complete"):
            yield f"chart {title(chart)}: its job"


def _workloads(kind: str, items: Iterable[Workload]) -> Iterator[str]:
    for item in items:
        status = item.status
        current = status.observed_generation >= item.metadata.generation
        if not current or min(status.available_replicas, status.updated_replicas) < item.spec.replicas:
            yield f"{kind} {title(item)}"


def _daemon_set_ready(item: Workload) -> bool:
    status = item.status
    current = status.observed_generation >= item.metadata.generation > 0
    return current and min(status.number_available, status.updated_number_scheduled) >= status.desired_number_scheduled


def _pod_good(pod: Pod) -> bool:
    return pod.ready or pod.status.phase == _DONE or _is_old_try(pod)


def _is_old_try(pod: Pod) -> bool:
    """A failed try of a job: the job itself says how it ended."""
    return pod.status.phase == "Failed" and any(owner.kind == "Job" for owner in pod.metadata.owner_references)
