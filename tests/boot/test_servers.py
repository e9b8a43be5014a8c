"""Servers of the real bundle, each a machine of namespaces: joining, losing one, snapshots, and restores."""

import asyncio
import base64
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import SealiftError
from runtime import admitted
from runtime.layout import DEFAULT_DATA_DIR
from runtime.prove.boot import host_layout
from runtime.prove.ledger import Ledger
from tests.support.sites import Joined, site

pytestmark = pytest.mark.real
PRIVATE = "the-words-of-a-secret-that-nobody-may-read-on-disk"
PUBLIC = "the-words-of-a-config-map"


def test_servers_join_leave_and_come_back_from_a_snapshot_here_and_elsewhere(
    ledger: Ledger, tmp_path: Path, rke2_bundle: Path
) -> None:
    async def inside() -> None:
        async with site(ledger, tmp_path, rke2_bundle, "server", "server", "server", "server", bare=(3,)) as machines:
            first, second, third, fresh = machines
            began = time.monotonic()

            def told(words: str) -> None:
                print(f"[{time.monotonic() - began:6.1f} s] {words}", flush=True)

            await wrong_ways_in(first, second)
            told("wrong ways in are refused, each in its words")
            await joins(first, second)
            told("two servers vote")
            rotation = asyncio.create_task(rotates_keys(first, second))
            await third_joins(first, second, third)
            told("three servers vote")
            await leaves_and_comes_back(second, third)
            told("removed one, which joined anew")
            await reads_everywhere(await rotation, first, second, third)
            told("keys rotated meanwhile: every server reads every Secret")
            await rotates_the_token(first, second, third, fresh)
            told("the token rotated: nobody joins with the old one, who has joined goes on")
            snapshot = await keeps_a_snapshot(first, second)
            told("snapshot")
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
    first.config = {"agent-token": "only-for-agents", "etcd-snapshot-schedule-cron": '"* * * * *"'}
    await first.start()
    await second.until_said("another authority than the token names")
    await second.stop()
    pinned, _, _ = first.secret("token").partition("::")
    for token, words in (
        (f"{pinned}::server:guessed", "the server refuses the token"),
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
    assert "guessed" not in first.log.read_text() and first.secret("token") not in second.log.read_text()


async def joins(first: Joined, second: Joined) -> None:
    await first.until_ready()
    await second.start()
    await second.until_said("etcd: joining")
    await second.until_ready()
    await second.until_said("] deploy")
    found = json.loads(await first.kubectl("-n", "kube-system", "get", "configmap", "sealift-manifests", "-o", "json"))
    assert {held["node"] for held in json.loads(found["data"]["files.json"]).values()} == {"m1"}
    assert "applied rke2-" in first.log.read_text() and "applied" not in second.log.read_text()


async def third_joins(first: Joined, second: Joined, third: Joined) -> None:
    third.config = {"server": first.url, "token": first.secret("token"), "node-name": "m2"}
    await third.start()
    await third.until_said("node password rejected: another machine is called m2")
    await third.stop()
    third.config["node-name"] = "m3"
    await third.start()
    await third.until_ready()
    record = admitted.read(host_layout(third.machine.home).admitted)
    assert record is not None and record.decided is not None and record.decided.trust == "server", "it had no bundle"
    assert dict(await members(third)) == {"m1": False, "m2": False, "m3": False}
    assert third.secret("agent-token") == first.secret("agent-token") != first.secret("token")


async def rotates_keys(first: Joined, second: Joined) -> list[str]:
    """All steps on the first server, while a client makes Secrets on both in turn; returns their names."""
    written: list[str] = []

    async def write() -> None:
        while True:
            name, server = f"s{len(written)}", (first, second)[len(written) % 2]
            await server.kubectl("create", "secret", "generic", name, f"--from-literal=words={name}")
            written.append(name)
            await asyncio.sleep(3.0)

    client = asyncio.create_task(write())
    try:
        said = await first.node_command("secrets-encrypt", "rotate-keys", stderr=True, timeout=500.0)
    finally:
        client.cancel()
    assert "all servers read with" in said and "all servers write with" in said and "is taken away" in said
    assert len(written) > 10
    return written


async def until_one_key(server: Joined) -> dict[str, Any]:
    """Every server looks into etcd every few seconds: the old key goes a moment after the command has ended."""
    async with asyncio.timeout(30.0):
        while True:
            status: dict[str, Any] = json.loads(await server.node_command("secrets-encrypt", "status", "--json"))
            if len(status["keys"]) == 1:
                return status
            await asyncio.sleep(0.5)


async def reads_everywhere(names: list[str], *servers: Joined) -> None:
    """Each server's own apiserver, and etcd has nothing of the old key."""
    want = {name: base64.b64encode(name.encode()).decode() for name in names}
    for server in servers:
        found = {each["metadata"]["name"]: each["data"].get("words") for each in await server.objects("secrets")}
        assert want.items() <= found.items()
        status = await until_one_key(server)
        (key,) = status["keys"]
        assert key != "aescbckey" and status["servers"].keys() == {"m1", "m2", "m3"}
        assert None not in status["servers"].values()
    values = await servers[-1].etcd("/registry/secrets/")
    assert len(values) > len(names)
    assert [value[:80] for value in values if not value.startswith(f"k8s:enc:aescbc:v1:{key}:".encode())] == []


async def rotates_the_token(first: Joined, second: Joined, third: Joined, stranger: Joined) -> None:
    old = first.secret("token")
    new = (await second.node_command("token", "rotate")).strip()
    assert new != old and {server.secret("token") for server in (first, second, third)} == {new}
    assert first.secret("agent-token").endswith("only-for-agents")
    stranger.config = {"server": first.url, "token": old}
    await stranger.start()
    await stranger.until_said("the server refuses the token")
    await stranger.stop()
    await first.until_said("with a wrong token")
    await third.stop()
    certificate = host_layout(third.machine.home).server / "tls/serving-kube-apiserver.crt"
    before = certificate.read_bytes()
    await third.node_command("certificate", "rotate")
    await third.start()
    await third.until_said("warning: the cluster's token was rotated")
    await third.until_ready()
    assert certificate.read_bytes() != before and "m1" in await third.kubectl("get", "nodes")
    assert old.rpartition(":")[2] not in first.log.read_text() + third.log.read_text()


async def members(server: Joined) -> list[tuple[str, bool]]:
    rows = json.loads(await server.node_command("etcd-member", "ls", "--json"))
    return [(row["name"].rpartition("-")[0], row["learner"]) for row in rows]


async def until_members(server: Joined, *names: str) -> None:
    """Until exactly these vote; an etcd that starts once more does not answer for a moment."""
    async with asyncio.timeout(150.0):
        while await try_members(server) != [(name, False) for name in names]:
            await asyncio.sleep(0.5)


async def try_members(server: Joined) -> list[tuple[str, bool]]:
    try:
        return sorted(await members(server))
    except SealiftError:
        return []


def is_scheduled(snapshot: Path, server: Joined) -> bool:
    """Whether a server kept it of its own accord, at noon or midnight (RKE2's default): a test may run then."""
    begin = str(snapshot.with_name(f"etcd-snapshot-{server.machine.name}-"))
    text = str(snapshot).removeprefix(begin)
    return text.isdigit() and int(text) % 43_200 < 60  # seconds of twelve hours, and those that it may be late


async def keeps_a_snapshot(first: Joined, server: Joined) -> Path:
    await server.kubectl("create", "secret", "generic", "kept", f"--from-literal=words={PRIVATE}")
    await server.kubectl("create", "configmap", "plain", f"--from-literal=words={PUBLIC}")
    path = Path((await server.node_command("etcd-snapshot", "save")).strip())
    listed = json.loads(await server.node_command("etcd-snapshot", "ls", "--json"))
    assert [row["path"] for row in listed if not is_scheduled(Path(row["path"]), server)] == [str(path)]
    assert "etcd-snapshot-m1-" in await first.node_command("etcd-snapshot", "ls"), "by its schedule"
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
        secret = ("-n", "kube-system", "get", "secret", "m3.node-password.rke2", "--ignore-not-found")
        while await second.kubectl(*secret):
            await asyncio.sleep(0.5)
    await third.revive()
    await third.start()
    await third.until_said("it joins anew")
    await until_members(second, "m1", "m2", "m3")
    assert len(list((host_layout(third.machine.home).server / "db").glob("etcd-old-*"))) == 1


async def goes_on_alone(first: Joined, second: Joined, third: Joined) -> None:
    """The majority is lost, and with it nothing but the majority."""
    await second.die()
    await third.die()
    async with asyncio.timeout(60.0):
        while not {("critical", "quorum")} <= await alarms(first):
            await asyncio.sleep(1.0)
    await first.stop()
    await first.node_command("server", "--cluster-reset")
    await first.start()
    await first.until_said("it starts once more, as an ordinary one")
    await first.until_ready()
    await everything_is_there(first)
    await until_members(first, "m1")


async def alarms(server: Joined) -> set[tuple[str, str]]:
    return {(alarm["severity"], alarm["kind"]) for alarm in (await server.status())["alarms"]}


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
    await until_members(first, "m1")
    await second.revive()
    await second.start()
    await second.until_said("it joins anew")
    await until_members(first, "m1", "m2")
    await second.die()


async def restores_elsewhere(first: Joined, fresh: Joined, snapshot: Path) -> None:
    token = first.secret("token")
    await first.die()
    place = host_layout(fresh.machine.home).data / snapshot.name
    shutil.copyfile(snapshot, place)
    fresh.config = {"token": token}
    fresh.configure()
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
