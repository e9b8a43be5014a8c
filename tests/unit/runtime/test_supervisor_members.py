"""The route by which a server becomes a member of etcd: who may ask, and what comes of it."""

import asyncio
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from runtime.daemon.actions import supervise
from runtime.supervisor.callers import AGENT, NODES, SERVER, Caller
from runtime.supervisor.messages import Request, Response
from runtime.supervisor.table import Route, allowed, find
from tests.support.daemons import make_test_node
from tests.support.gateways import FakeEtcd, row

ME = {"name": "m2-00000002", "peerURL": "https://10.0.0.2:2380"}


def asked(body: object = ME, node: str = "m2") -> Request:
    data = json.dumps(body).encode()
    return Request(method="POST", path="/v1-rke2/db/member", headers={"rke2-node-name": node}, body=data)


def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, etcd: FakeEtcd, *requests: Request) -> list[Response]:
    node = make_test_node(tmp_path / "data", tmp_path)
    monkeypatch.setattr(supervise, "local_gateway", lambda config: etcd.gateway)

    async def work() -> list[Response]:
        return [await supervise.add_member(node, request) for request in requests]

    return asyncio.run(work())


def test_only_servers_may_ask_and_only_as_a_node_that_proved_its_name() -> None:
    route = find("POST", "/v1-rke2/db/member")
    assert isinstance(route, Route) and route.node and route.act == "add-member"
    assert allowed(route, Caller(name="server", roles=frozenset((SERVER, AGENT)))) is None
    for roles in (frozenset({AGENT}), frozenset({NODES})):
        refused = allowed(route, Caller(name="x", roles=roles))
        assert refused is not None and refused.status == HTTPStatus.FORBIDDEN


def test_asking_twice_adds_one_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEtcd(members=[row(1, "m1-00000001", "10.0.0.1")]) as etcd:
        first, second = answers(tmp_path, monkeypatch, etcd, asked(), asked())
        assert len(etcd.members) == 2
    assert first.status == second.status == HTTPStatus.OK
    members: list[dict[str, Any]] = json.loads(second.body)["members"]
    assert [(member["name"], member["isLearner"]) for member in members] == [("", True), ("m1-00000001", False)]


def test_a_taken_name_is_a_conflict_and_another_learner_is_to_be_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(1, "m1-00000001", "10.0.0.1"), row(3, "", "10.0.0.3", learner=True)]
    with FakeEtcd(members=rows) as etcd:
        taken = asked({"name": "m1-00000009", "peerURL": "https://10.0.0.9:2380"}, node="m1")
        conflict, later = answers(tmp_path, monkeypatch, etcd, taken, asked())
    assert conflict.status == HTTPStatus.CONFLICT and b"another server is called m1" in conflict.body
    assert later.status == HTTPStatus.SERVICE_UNAVAILABLE and b"is joining etcd" in later.body


def test_a_name_that_is_not_the_nodes_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeEtcd(members=[row(1, "m1-00000001", "10.0.0.1")]) as etcd:
        (refused,) = answers(tmp_path, monkeypatch, etcd, asked(node="m7"))
        assert refused.status == HTTPStatus.BAD_REQUEST and len(etcd.members) == 1
