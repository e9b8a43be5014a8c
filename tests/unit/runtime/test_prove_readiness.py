import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bundles.digest import Digest
from bundles.index import BundleIndex, Image, Runtime, Sha256
from runtime.prove.boot import chart_names
from runtime.prove.findings import missing_roles
from runtime.prove.images import NODE, Seen, listed, missing_now, usage
from runtime.prove.objects import Cluster, HelmChart, Job, Node, Pod, Workload
from runtime.prove.readiness import awaited, failed_jobs, pull_failed
from runtime.prove.report import MissingResult

DIGEST = Digest.of(b"image")

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def node(heartbeat: datetime) -> Node:
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat.isoformat()}
    return msgspec.convert({"metadata": {"name": "n1"}, "status": {"conditions": [condition]}}, Node)


def workload(**status: int) -> Workload:
    plain = {"metadata": {"name": "w", "namespace": "n", "generation": 2}, "spec": {"replicas": 1}, "status": status}
    return msgspec.convert(plain, Workload)


def pod(name: str, image: str = "a/b:1", *, phase: str = "Running", ready: bool = True, owner: str = "") -> Pod:
    metadata: dict[str, object] = {"name": name, "namespace": "n", "labels": {"pod-template-hash": "5f6"}}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner, "name": "web-5f6"}]
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    spec = {"containers": [{"name": "c", "image": image}]}
    return msgspec.convert(
        {"metadata": metadata, "spec": spec, "status": {"phase": phase, "conditions": conditions}}, Pod
    )


def good_cluster() -> Cluster:
    job = {
        "metadata": {"name": "j", "namespace": "n"},
        "status": {"conditions": [{"type": "Complete", "status": "True"}]},
    }
    chart = {"metadata": {"name": "web", "namespace": "n"}, "status": {"jobName": "j"}}
    return Cluster(
        known=True,
        nodes=(node(BEGIN),),
        pods=(
            pod("p"),
            pod("done", phase="Succeeded", ready=False),
            pod("try", phase="Failed", ready=False, owner="Job"),
        ),
        deployments=(workload(observedGeneration=2, availableReplicas=1, updatedReplicas=1),),
        daemon_sets=(
            workload(observedGeneration=2, desiredNumberScheduled=1, numberAvailable=1, updatedNumberScheduled=1),
        ),
        jobs=(msgspec.convert(job, Job),),
        charts=(msgspec.convert(chart, HelmChart),),
    )


def waits_of(cluster: Cluster) -> str:
    return "; ".join(awaited(cluster, since=BEGIN, charts=["web"]))


def test_a_cluster_is_ready_when_nothing_is_awaited() -> None:
    assert awaited(good_cluster(), since=BEGIN, charts=["web"]) == ()
    assert awaited(Cluster(), since=BEGIN, charts=[]) == ("the apiserver",)


def test_a_heartbeat_of_an_earlier_run_does_not_count() -> None:
    stale = msgspec.structs.replace(good_cluster(), nodes=(node(BEGIN - timedelta(seconds=1)),))
    assert waits_of(stale) == "node n1"
    assert waits_of(msgspec.structs.replace(good_cluster(), nodes=())) == "a node"


def test_workloads_count_in_their_present_generation() -> None:
    old = workload(observedGeneration=1, availableReplicas=1, updatedReplicas=1)
    replacing = workload(observedGeneration=2, availableReplicas=1, updatedReplicas=0)
    for item in (old, replacing):
        assert waits_of(msgspec.structs.replace(good_cluster(), deployments=(item,))) == "deployment n/w"
        assert waits_of(msgspec.structs.replace(good_cluster(), stateful_sets=(item,))) == "statefulset n/w"
    missing = workload(observedGeneration=2, desiredNumberScheduled=2, numberAvailable=1, updatedNumberScheduled=2)
    assert waits_of(msgspec.structs.replace(good_cluster(), daemon_sets=(missing,))) == "daemonset n/w"


def test_charts_are_awaited_by_name_and_until_their_job_is_done() -> None:
    assert waits_of(msgspec.structs.replace(good_cluster(), charts=())) == "chart web"
    assert waits_of(msgspec.structs.replace(good_cluster(), jobs=())) == "chart n/web: its job"


def test_a_pod_says_why_it_is_awaited() -> None:
    waiting = {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    plain = {"metadata": {"name": "p", "namespace": "n"}, "status": {"containerStatuses": [waiting]}}
    stuck = msgspec.convert(plain, Pod)
    cluster = msgspec.structs.replace(good_cluster(), pods=(stuck,))
    assert waits_of(cluster) == "pod n/p: c: ImagePullBackOff"
    assert pull_failed(cluster) and not pull_failed(good_cluster())


def test_a_failed_job_is_named() -> None:
    plain = {
        "metadata": {"name": "j", "namespace": "n"},
        "status": {"conditions": [{"type": "Failed", "status": "True"}]},
    }
    assert failed_jobs(Cluster(known=True, jobs=(msgspec.convert(plain, Job),))) == ("n/j",)


def index_of(references: Iterable[str]) -> BundleIndex:
    return BundleIndex(
        format="1.0",
        name="b",
        version="v1",
        flavour="classic",
        sequence=1,
        created=0,
        platform="linux/amd64",
        lock=Sha256(sha256=DIGEST),
        runtime=Runtime(reference="docker.io/a/run:1", digest=DIGEST, key="1-0"),
        archives=[],
        images=[Image(reference=reference, digest=DIGEST, archive="a", why="w") for reference in references],
        charts=[],
        files=[],
    )


def test_an_image_without_which_no_node_begins_is_missing_before_anybody_asks() -> None:
    names = ("hardened-kubernetes", "hardened-etcd", "helm-controller", "klipper-helm", "mirrored-pause")
    whole = [f"docker.io/rancher/{name}:1" for name in names]
    assert missing_roles(index_of(whole)) == ()
    without = missing_roles(index_of(name for name in whole if "etcd" not in name))
    assert [(image.reference, image.used_by) for image in without] == [
        ("etcd-image", ("sealift-node server (etcd-image)",))
    ]


def test_images_are_told_by_who_asked_and_what_nobody_has_is_named() -> None:
    index = index_of(["docker.io/a/b:1", "docker.io/a/spare:1", "docker.io/a/run:1"])
    seen = Seen()
    seen.pods([pod("web-5f6-x7", owner="ReplicaSet"), pod("etcd-n1", "index.docker.io/a/b:1", owner="Node")])
    seen.ask("a/run:1", NODE)
    assert not missing_now(index, seen)
    seen.pods([pod("lost", "example.com/none:2")])
    assert missing_now(index, seen)
    found = usage(index, seen, {"docker.io/a/b:1": Digest.of(b"other")})
    assert [(image.reference, image.used_by) for image in found.used] == [
        ("docker.io/a/b:1", ("Deployment n/web", "Pod n/etcd-n1")),
        ("docker.io/a/run:1", (NODE,)),
    ]
    assert found.unused == ("docker.io/a/spare:1",)
    assert found.missing == (MissingResult(reference="example.com/none:2", used_by=("Pod n/lost",)),)
    assert found.strange == (f"docker.io/a/b:1 is {Digest.of(b'other')}, not {DIGEST}",)


def test_what_containerd_holds_is_read_from_its_list() -> None:
    text = f"REF TYPE DIGEST SIZE PLATFORMS LABELS\ndocker.io/a/b:1 application/x {DIGEST} 1 MiB linux/amd64 -\n"
    assert listed(text) == {"docker.io/a/b:1": DIGEST}


def test_charts_are_awaited_only_when_the_runtime_image_is_unpacked(tmp_path: Path) -> None:
    assert chart_names(tmp_path / "charts") is None
    (tmp_path / "charts").mkdir()
    document = {"kind": "HelmChart", "metadata": {"name": "rke2-web"}}
    (tmp_path / "charts" / "web.yaml").write_text(f"---\n{json.dumps(document)}\n---\nkind: Namespace\n")
    assert chart_names(tmp_path / "charts") == ("rke2-web",)
