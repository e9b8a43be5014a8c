"""Servers of the real bundle, each a machine of namespaces: joining, losing one, snapshots, and restores."""

import asyncio
import base64
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.layout import DEFAULT_DATA_DIR
from runtime.prove.boot import host_layout
from runtime.prove.ledger import Ledger
from tests.support.sites import Joined, held_ledger, site

pytestmark = pytest.mark.real
PRIVATE = "the-words-of-a-secret-that-nobody-may-read-on-disk"
PUBLIC = "the-words-of-a-config-map"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with held_ledger(tmp_path) as own:
        yield own


def test_servers_join_leave_and_come_back_from_a_snapshot_here_and_elsewhere(
    ledger: Ledger, tmp_path: Path, rke2_bundle: Path
) -> None:
    async def inside() -> None:
        async with site(ledger, tmp_path, rke2_bundle, "server", "server", "server", "server") as machines:
            first, second, third, fresh = machines
            began = time.monotonic()

            def told(words: str) -> None:
                print(f"[{time.monotonic() - began:6.1f} s] {words}", flush=True)

            await wrong_ways_in(first, second)
            told("wrong ways in are refused, each in its words")
            await joins(first, second, third)
            told("three servers vote")
            snapshot = await keeps_a_snapshot(second)
            told("snapshot")
            await leaves_and_comes_back(second, third)
            told("removed one, which joined anew")
            await goes_on_alone(first, second, third)
            told("one of three goes on alone after a reset")
            await restores_here(first, second, snapshot)
            told("restored on the same machine")
            await restores_elsewhere(first, fresh, snapshot)
            told("restored on a new machine")

    asyncio.run(inside())


async def wrong_ways_in(first: Joined, second: Joined) -> None:
    second.config = {"server": first.url, "token": "K10" + "0" * 64 + "::server:x"}
    await second.start()
    await second.until_said("no answer")
    first.config = {"agent-token": "only-for-agents"}
    await first.start()
    await second.until_said("another authority than the token names")
    await second.stop()
    pinned, _, _ = first.secret("token").partition("::")
    for token, words in (
        (f"{pinned}::server:wrong", "the server refuses the token"),
        (first.secret("agent-token"), "a token of agents cannot join a server"),
    ):
        second.config["token"] = token
        await second.start()
        await second.until_said(words)
        await second.stop()
    second.config |= {"token": first.secret("token"), "cluster-cidr": "10.99.0.0/16"}
    await second.start()
    await second.until_said("cluster-cidr: this server has 10.99.0.0/16, its cluster 10.42.0.0/16")
    await second.stop()
    del second.config["cluster-cidr"]
    assert "wrong" not in first.log.read_text() and first.secret("token") not in second.log.read_text()


async def joins(first: Joined, second: Joined, third: Joined) -> None:
    third.config = {"server": first.url, "token": first.secret("token"), "node-name": "m2"}
    await first.until_ready()
    await second.start()
    await second.until_said("etcd: joining")
    await third.start()
    await third.until_said("node password rejected: another machine is called m2")
    await third.stop()
    third.config["node-name"] = "m3"
    await third.start()
    await second.until_ready()
    await third.until_ready()
    assert dict(await members(third)) == {"m1": False, "m2": False, "m3": False}
    assert third.secret("agent-token") == first.secret("agent-token") != first.secret("token")


async def members(server: Joined) -> list[tuple[str, bool]]:
    rows = json.loads(await server.node_command("etcd-member", "ls", "--json"))
    return [(row["name"].rpartition("-")[0], row["learner"]) for row in rows]


async def keeps_a_snapshot(server: Joined) -> Path:
    await server.kubectl("create", "secret", "generic", "kept", f"--from-literal=words={PRIVATE}")
    await server.kubectl("create", "configmap", "plain", f"--from-literal=words={PUBLIC}")
    path = Path((await server.node_command("etcd-snapshot", "save")).strip())
    assert [row["path"] for row in json.loads(await server.node_command("etcd-snapshot", "ls", "--json"))] == [
        str(path)
    ]
    kept = server.machine.home.parent / path.name
    shutil.copyfile(host_layout(server.machine.home).data / path.relative_to(DEFAULT_DATA_DIR), kept)
    data = kept.read_bytes()
    assert PUBLIC.encode() in data and PRIVATE.encode() not in data and b"k8s:enc:aescbc:v1:" in data
    return kept


async def leaves_and_comes_back(second: Joined, third: Joined) -> None:
    await third.die()
    await second.kubectl("delete", "node", "m3")
    async with asyncio.timeout(30.0):
        while len(await members(second)) != 2:
            await asyncio.sleep(0.5)
    await third.revive()
    await third.start()
    await third.until_said("it joins anew")
    async with asyncio.timeout(120.0):
        while sorted(await members(second)) != [("m1", False), ("m2", False), ("m3", False)]:
            await asyncio.sleep(0.5)
    assert len(list((host_layout(third.machine.home).server / "db").glob("etcd-old-*"))) == 1


async def goes_on_alone(first: Joined, second: Joined, third: Joined) -> None:
    """The majority is lost, and with it nothing but the majority."""
    await second.die()
    await third.die()
    await first.stop()
    await first.node_command("server", "--cluster-reset")
    await first.start()
    await first.until_said("it starts once more, as an ordinary one")
    await first.until_ready()
    await everything_is_there(first)
    assert await members(first) == [("m1", False)]


async def restores_here(first: Joined, second: Joined, snapshot: Path) -> None:
    """A server of the cluster that was comes back with its data: it must not go on with it."""
    await first.kubectl("delete", "configmaps", "--all", "--wait=false")
    await first.kubectl("delete", "secret", "kept")
    await first.stop()
    place = host_layout(first.machine.home).data / snapshot.name
    shutil.copyfile(snapshot, place)
    await first.node_command(
        "server", "--cluster-reset", f"--cluster-reset-restore-path={DEFAULT_DATA_DIR / place.name}"
    )
    await first.start()
    await first.until_ready()
    await everything_is_there(first)
    assert await members(first) == [("m1", False)]
    await second.revive()
    await second.start()
    await second.until_said("it joins anew")
    async with asyncio.timeout(120.0):
        while await members(first) != [("m1", False), ("m2", False)]:
            await asyncio.sleep(0.5)
    await second.die()


async def restores_elsewhere(first: Joined, fresh: Joined, snapshot: Path) -> None:
    token = first.secret("token")
    await first.die()
    place = host_layout(fresh.machine.home).data / snapshot.name
    shutil.copyfile(snapshot, place)
    fresh.config = {"token": token}
    path = f"--cluster-reset-restore-path={DEFAULT_DATA_DIR / place.name}"
    await fresh.node_command("server", "--cluster-reset", path, "--token", token)
    await fresh.start()
    await fresh.until_ready()
    await everything_is_there(fresh)
    assert fresh.secret("token") == token


async def everything_is_there(server: Joined) -> None:
    found = json.loads(await server.kubectl("get", "configmap", "plain", "-o", "json"))
    assert found["data"] == {"words": PUBLIC}
    words = await server.kubectl("get", "secret", "kept", "-o", "jsonpath={.data.words}")
    assert base64.b64decode(words).decode() == PRIVATE
