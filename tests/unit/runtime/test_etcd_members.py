"""Who may become a member of etcd, and who has to leave it."""

import asyncio
from pathlib import Path

import pytest

from bundles.errors import FormatError
from runtime.etcd.gateway import EtcdError
from runtime.etcd.learners import PATIENCE, Watched, stuck, watch
from runtime.etcd.members import (
    Admit,
    Applicant,
    Known,
    Later,
    Member,
    Refuse,
    beside_nodes,
    is_member,
    judge,
    membership_of,
    read_members,
    vanished,
)
from runtime.etcd.snapshots import check_snapshot, delete, listed, prune, save, surplus
from runtime.joining.members import read_application
from tests.support.gateways import FakeEtcd, database, row
from tests.support.nodes import node_config

ME = Applicant(name="m2-00000002", peer_url="https://10.0.0.2:2380")


def members(*rows: dict[str, object]) -> tuple[Member, ...]:
    return read_members({"members": list(rows)}, where="test")


ONE = row(1, "m1-00000001", "10.0.0.1")


def test_a_stranger_is_admitted_and_starts_with_all_members() -> None:
    assert judge(members(ONE), ME) == Admit()
    joined = membership_of(members(ONE, row(2, "", "10.0.0.2", learner=True)), ME)
    cluster = {"m1-00000001=https://10.0.0.1:2380", "m2-00000002=https://10.0.0.2:2380"}
    assert set(joined.cluster.split(",")) == cluster and joined.state == "existing"


def test_whoever_asks_again_after_a_crash_is_known_and_not_added_twice() -> None:
    assert judge(members(ONE, row(2, "", "10.0.0.2", learner=True)), ME) == Known()
    assert judge(members(ONE, row(2, ME.name, "10.0.0.2")), ME) == Known()


def test_one_learns_at_a_time() -> None:
    assert isinstance(judge(members(ONE, row(3, "", "10.0.0.3", learner=True)), ME), Later)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (row(2, "m2-99999999", "10.0.0.9"), "another server is called m2"),
        (row(2, "old-99999999", "10.0.0.2"), "10.0.0.2 is the address of the member old-99999999"),
        (row(2, "m2-99999999", "10.0.0.2"), "if that machine's data is lost"),
    ],
)
def test_a_name_or_an_address_that_is_taken_is_refused_in_words(other: dict[str, object], words: str) -> None:
    verdict = judge(members(ONE, other), ME)
    assert isinstance(verdict, Refuse) and words in verdict.reason and "etcd-member remove" in verdict.reason


def test_a_removed_server_knows_that_it_is_no_member() -> None:
    assert not is_member(members(ONE), ME)
    assert is_member(members(ONE, row(2, "", "10.0.0.2", learner=True)), ME)


def test_only_members_whose_node_was_seen_and_was_deleted_have_to_leave() -> None:
    found = members(ONE, row(2, "m2-2", "10.0.0.2"), row(3, "m3-3", "10.0.0.3"), row(4, "", "10.0.0.4", learner=True))
    seen = beside_nodes(found, frozenset({"m1", "m2"}))
    gone = vanished(found, frozenset({"m1"}), seen)
    assert [member.name for member in gone] == ["m2-2"]


def test_a_server_that_was_removed_and_joined_anew_is_not_removed_again_before_its_node_is_there() -> None:
    seen = beside_nodes(members(ONE, row(2, "m2-2", "10.0.0.2")), frozenset({"m1", "m2"}))
    assert vanished(members(ONE, row(3, "m2-3", "10.0.0.2")), frozenset({"m1"}), seen) == ()


def test_a_learner_is_given_up_after_five_minutes_without_progress_and_not_before() -> None:
    watched: Watched = {}
    for now, applied in ((0.0, None), (100.0, None), (200.0, 5), (250.0, 9), (500.0, 9)):
        watched = watch(watched, now, {"7": applied})
        assert stuck(watched, now) == ()
    assert stuck(watch(watched, 250.0 + PATIENCE, {"7": 9}), 250.0 + PATIENCE) == ("7",)
    assert watch(watched, 600.0, {}) == {}, "it votes, or is gone"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"name":"m2-00000002"}',
        b'{"name":"m2-00000002","peerURL":"http://10.0.0.2:2380"}',
        b'{"name":"m2-00000002","peerURL":"https://10.0.0.2:2380/x"}',
        b'{"name":"m2","peerURL":"https://10.0.0.2:2380"}',
        b'{"name":"m2,x=y-00000002","peerURL":"https://10.0.0.2:2380"}',
        b'{"name":7,"peerURL":"https://10.0.0.2:2380"}',
    ],
)
def test_a_request_that_could_smuggle_something_into_etcds_configuration_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError):
        read_application(body)


def test_a_request_to_join_is_read() -> None:
    body = b'{"name":"m2-00000002","peerURL":"https://10.0.0.2:2380"}'
    assert read_application(body) == ME


def test_etcds_own_words_come_with_its_refusal() -> None:
    async def work(etcd: FakeEtcd) -> None:
        await etcd.gateway.add_learner(ME.peer_url)
        assert (await etcd.gateway.members())[0].learner is True
        with pytest.raises(EtcdError, match="too many learner"):
            await etcd.gateway.add_learner("https://10.0.0.3:2380")
        etcd.behind.add("2")
        with pytest.raises(EtcdError, match="in sync"):
            await etcd.gateway.promote("2")
        etcd.behind.clear()
        await etcd.gateway.promote("2")
        assert not any(member.learner for member in await etcd.gateway.members())
        assert (await etcd.gateway.status()).leads
        await etcd.gateway.put("/k", b"\0v")
        assert await etcd.gateway.get("/k") == b"\0v" and await etcd.gateway.get("/none") is None

    with FakeEtcd(members=[dict(ONE)]) as etcd:
        asyncio.run(work(etcd))


def test_a_snapshot_is_a_file_whose_hash_is_checked_both_ways(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    with FakeEtcd(database=database()) as etcd:
        taken = asyncio.run(save(etcd.gateway, node, "on-demand", 1_800_000_000))
    assert taken.name == "on-demand-n1-1800000000" and taken.size == 4 * 4096 + 32
    assert check_snapshot(taken.path) == 4 * 4096
    assert listed(taken.path.parent) == (taken,)
    assert taken.path.stat().st_mode & 0o777 == 0o600
    data = bytearray(taken.path.read_bytes())
    data[5000] ^= 1
    taken.path.write_bytes(data)
    with pytest.raises(FormatError, match="damaged"):
        check_snapshot(taken.path)


def test_a_snapshot_that_is_damaged_on_its_way_leaves_no_file(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    with FakeEtcd(database=database(), damage=True) as etcd, pytest.raises(FormatError, match="not whole"):
        asyncio.run(save(etcd.gateway, node, "on-demand", 1_800_000_000))
    assert list(node.paths.etcd_snapshots.iterdir()) == []


def test_only_the_oldest_of_the_same_name_and_node_are_pruned(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    folder = node.paths.etcd_snapshots
    folder.mkdir(parents=True)
    for name in ("etcd-snapshot-n1", "etcd-snapshot-n10", "on-demand-n1"):
        for number in range(4):
            (folder / f"{name}-180000000{number}").write_bytes(b"")
    (folder / "notes.txt").write_bytes(b"")
    gone = prune(node, "etcd-snapshot", 2)
    assert [snapshot.name for snapshot in gone] == ["etcd-snapshot-n1-1800000000", "etcd-snapshot-n1-1800000001"]
    assert len(list(folder.iterdir())) == 11
    assert surplus(listed(folder), "etcd-snapshot-n1", 0) == ()
    delete(node, "on-demand-n1-1800000003")
    assert not (folder / "on-demand-n1-1800000003").exists()
