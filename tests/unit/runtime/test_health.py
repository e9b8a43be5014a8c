"""How the cluster is doing: what is an alarm, what Prometheus reads, what people see."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import FormatError
from runtime.health import tell
from runtime.health.alarms import DAY, alarms
from runtime.health.answers import read_etcd, read_nodes
from runtime.health.gather import certificates, disks
from runtime.health.metrics import metrics
from runtime.health.values import Certificate, Disk, Etcd, Health, MemberView, NodeView
from runtime.layout import NodeLayout
from tests.support.nodes import NOW as PKI_NOW
from tests.support.nodes import ensure_pki, node_config

NOW = 1_800_000_000


def etcd(*, learners: int = 0, voters: int = 3, leader: bool = True) -> Etcd:
    names = [f"s{number}" for number in range(1, voters + learners + 1)]
    members = tuple(MemberView(f"{n}-0a1b2c3d", n, number >= voters) for number, n in enumerate(names))
    return Etcd(members=members, leader=leader, database=1000)


def nodes(ready: int, of: int = 3) -> tuple[NodeView, ...]:
    roles = ("control-plane", "etcd")
    names = enumerate(f"s{number}" for number in range(1, of + 1))
    return tuple(NodeView(name, number < ready, roles, "v1.34.4+rke2r1", "10.0.0.1") for number, name in names)


def told(**changes: Any) -> list[tuple[str, str]]:
    return [(alarm.severity, alarm.kind) for alarm in alarms(Health(now=NOW, **changes))]


def test_a_healthy_cluster_rings_nothing() -> None:
    health: dict[str, Any] = {
        "certificates": (Certificate("server/tls/a.crt", NOW + 91 * DAY),),
        "expires": NOW + 91 * DAY,
        "disks": (Disk("/data", 1000, 101),),
        "nodes": nodes(3),
        "etcd": etcd(),
    }
    assert told(**health) == []


@pytest.mark.parametrize(
    ("days", "severity"), [(89, "warning"), (7, "warning"), (6, "critical"), (-1, "critical"), (91, None)]
)
def test_certificates_ring_ninety_days_before_their_end(days: int, severity: str | None) -> None:
    found = told(certificates=(Certificate("server/tls/a.crt", NOW + days * DAY),))
    assert found == ([(severity, "certificate")] if severity else [])


@pytest.mark.parametrize(("free", "severity"), [(100, None), (99, "warning"), (50, "warning"), (49, "critical")])
def test_a_disk_rings_before_the_kubelet_throws_pods_out(free: int, severity: str | None) -> None:
    assert told(disks=(Disk("/data", 1000, free),)) == ([(severity, "disk")] if severity else [])


def test_a_bundle_that_expires_soon_is_told() -> None:
    assert told(bundle="b", expires=NOW + DAY) == [("warning", "bundle")]


@pytest.mark.parametrize(
    ("ready", "voters", "severity"),
    [(3, 3, None), (2, 3, "warning"), (1, 3, "critical"), (1, 1, None), (2, 2, "warning"), (4, 5, None)],
)
def test_quorum_rings_when_one_more_loss_would_stop_the_cluster(ready: int, voters: int, severity: str | None) -> None:
    found = told(nodes=nodes(ready, voters), etcd=etcd(voters=voters))
    assert [each for each in found if each[1] == "quorum"] == ([(severity, "quorum")] if severity else [])


def test_no_leader_a_learner_a_full_database_and_a_lost_node_are_told() -> None:
    broken = Etcd(members=etcd(learners=1).members, leader=False, database=1, troubles=("etcdserver: no space",))
    found = told(nodes=nodes(3, 4), etcd=broken)
    assert found == [("critical", "etcd"), ("critical", "quorum"), ("warning", "etcd"), ("warning", "node")]


def test_what_nobody_said_is_no_alarm_and_no_metric() -> None:
    assert told() == [] and "node_ready" not in metrics(Health(now=NOW))


def test_metrics_are_what_prometheus_reads() -> None:
    health = Health(
        now=NOW,
        bundle="rke2-v1",
        certificates=(Certificate('odd"\\\nname.crt', NOW),),
        disks=(Disk("/data", 1000, 10),),
        nodes=nodes(2),
        etcd=etcd(learners=1),
    )
    text = metrics(health)
    row = re.compile(r'[a-z_]+(\{[a-z]+="([^"\\\n]|\\["\\n])*"(,[a-z]+="([^"\\\n]|\\["\\n])*")*\})? -?[0-9]+')
    assert all(row.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))
    assert 'sealift_node_ready{node="s3",roles="control-plane,etcd",version="v1.34.4+rke2r1"} 0\n' in text
    assert 'sealift_etcd_member{member="s4-0a1b2c3d",node="s4",learner="true"} 1\n' in text
    assert "sealift_etcd_spare_voters 0\n" in text and 'kind="disk"' in text
    helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
    assert helped == {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}


def test_people_see_nodes_their_place_in_etcd_and_what_is_wrong() -> None:
    lines = tell.lines(Health(now=NOW, nodes=(*nodes(2), NodeView("w1", True)), etcd=etcd()))
    assert lines[0] == "cluster: 3 of 4 nodes ready"
    assert lines[1].split() == ["s1", "ready", "control-plane,etcd", "v1.34.4+rke2r1", "10.0.0.1", "voter"]
    assert "s3  NOT READY" in lines[3] and lines[4].split() == ["w1", "ready", "agent"]
    assert lines[5] == "etcd: 3 voters, 2 needed, 0 to spare"
    assert any(line.startswith("warning: etcd: 2 of 3 voters") for line in lines)


def test_machines_get_the_same_as_a_document() -> None:
    document = tell.document(Health(now=NOW, nodes=nodes(3), etcd=etcd()))
    assert json.loads(json.dumps(document))["etcd"] | {"members": []} == {
        "members": [], "leader": True, "quorum": 2, "spare": 1, "database": 1000
    }  # fmt: skip
    empty = tell.document(Health(now=NOW))
    assert (empty["cluster"], empty["etcd"], empty["alarms"]) == (None, None, [])


def table(*rows: list[Any]) -> dict[str, Any]:
    names = ("Name", "Status", "Roles", "Age", "Version", "Internal-IP")
    return {"columnDefinitions": [{"name": name} for name in names], "rows": [{"cells": row} for row in rows]}


def test_nodes_are_read_from_kubectl_s_table() -> None:
    document = table(
        ["b", "NotReady,SchedulingDisabled", "<none>", "1d", "v1", "<none>"],
        ["a", "Ready,SchedulingDisabled", "control-plane,etcd", "1d", "v1", "10.0.0.1"],
    )
    assert read_nodes(document) == (
        NodeView("a", True, ("control-plane", "etcd"), "v1", "10.0.0.1"), NodeView("b", False, (), "v1", "")
    )  # fmt: skip


@pytest.mark.parametrize("document", [None, [], {}, {"columnDefinitions": [{}]}, table(["a"]), {"kind": "Status"}])
def test_what_is_no_table_is_an_error_in_words(document: Any) -> None:
    with pytest.raises(FormatError):
        read_nodes(document)


def test_etcd_s_answers_leave_zeros_out() -> None:
    members = {"members": [{"ID": "1", "name": "s1-0a1b2c3d", "peerURLs": ["https://10.0.0.1:2380"]}]}
    found = read_etcd(members, {"leader": "1", "dbSize": "4096"})
    assert (found.leader, found.database, found.members[0].node) == (True, 4096, "s1")
    assert not read_etcd(members, {}).leader
    answers: tuple[Any, ...] = ([], None, {"leader": "x"})
    for bad in answers:
        with pytest.raises(FormatError):
            read_etcd(members, bad)


def test_all_certificates_of_a_server_are_watched(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    ensure_pki(node)
    (node.paths.tls / "broken.crt").write_text("none")
    found = {certificate.path: certificate.ends for certificate in certificates(node.paths)}
    names = {"server/tls/serving-kube-apiserver.crt", "server/tls/etcd/client.crt", "agent/client-kubelet.crt"}
    year = PKI_NOW.timestamp() + 365 * DAY
    assert names < set(found) and all(abs(found[name] - year) < 2 * DAY for name in names)
    assert [disk.path for disk in disks(NodeLayout.at(node.paths.data))] == [str(node.paths.data)]
