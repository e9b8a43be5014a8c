"""A node of the real bundle, in a machine without a way out: restarts, kills, and a reset that leaves nothing."""

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import SealiftError
from bundles.talk import SilentProgress
from bundles.trust import Trust
from runtime.daemon.actions.kernel import OF_KUBELET, WANTED
from runtime.host import platform
from runtime.layout import DEFAULT_DATA_DIR
from runtime.process import Child
from runtime.prove.boot import host_layout, start_server, write_config
from runtime.prove.cgroups import Group
from runtime.prove.ledger import Ledger
from runtime.prove.namespaces import Machine, start_machine, start_switch
from runtime.prove.network import Port
from runtime.stage import stage
from tests.support import tars
from tests.support.damage import flip
from tests.support.sites import ENV, HIERARCHIES, NODE

pytestmark = pytest.mark.real
SECONDS = 180.0
SOCKET = Path("/run/k3s/containerd/containerd.sock")
FLANNEL = "rke2-images-flannel.linux-amd64.tar"


@dataclass
class Booted:
    """A machine with a staged bundle, and its daemon."""

    machine: Machine
    daemon: Child | None = None

    async def start(self) -> None:
        self.daemon = await start_server(self.machine)

    async def node(self, *words: str, check: bool = False) -> str:
        """`sealift-node` inside the machine."""
        argv = [sys.executable, "-P", "-c", NODE, *words, "--data-dir", str(DEFAULT_DATA_DIR)]
        output = await self.machine.call(argv, check=check, timeout=120.0)
        return output.text

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.node("status", "--json"))
        return found

    async def until(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            status = await self.status()
            if what(status):
                return status
            await asyncio.sleep(0.3)
        log = (self.machine.home / "server.log").read_text()
        raise AssertionError(f"not reached: {json.dumps(status, indent=1)}\n{log[-4000:]}")

    async def pids(self, name: str) -> list[int]:
        lines = (await self.machine.call(["ps", "-e", "-o", "pid=,comm="])).text.splitlines()
        return [int(line.split()[0]) for line in lines if line.split()[1] == name]

    async def kill(self, name: str) -> None:
        for pid in await self.pids(name):
            await self.machine.call(["kill", "-9", str(pid)])

    async def kubectl(self, *words: str) -> Any:
        argv = [str(DEFAULT_DATA_DIR / "bin/kubectl"), "--kubeconfig=/etc/rancher/rke2/rke2.yaml", *words]
        return json.loads((await self.machine.call([*argv, "-o", "json"], timeout=60.0)).text)

    async def restarts(self) -> dict[str, int]:
        """Of every container that runs on, by pod; jobs come and go."""
        pods = [pod for pod in (await self.kubectl("get", "pods", "-A"))["items"] if not is_job(pod)]
        return {
            f"{pod['metadata']['name']}/{container['name']}": container["restartCount"]
            for pod in pods
            for container in pod["status"].get("containerStatuses", [])
        }

    async def try_restarts(self) -> dict[str, int]:
        """The same; nothing while the apiserver does not answer."""
        try:
            return await self.restarts()
        except SealiftError:
            return {}

    async def settled(self) -> None:
        """Until all pods are ready, so that nothing is in the middle of a start."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            pods = [pod for pod in (await self.kubectl("get", "pods", "-A"))["items"] if not is_job(pod)]
            if len(pods) > 8 and all(is_ready(pod) for pod in pods):
                return
            await asyncio.sleep(0.5)
        raise AssertionError([pod["metadata"]["name"] for pod in pods if not is_ready(pod)])


def is_job(pod: dict[str, Any]) -> bool:
    return any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences", []))


def is_ready(pod: dict[str, Any]) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


@asynccontextmanager
async def booted(ledger: Ledger, tmp_path: Path, bundle: Path) -> AsyncIterator[Booted]:
    group = Group(f"sealift-test-{tmp_path.name[-20:]}-{os.getpid()}", HIERARCHIES)
    ledger.will_make(group=group.name)
    group.make()
    home = tmp_path / "machine"
    home.mkdir()
    layout = host_layout(home)
    layout.data.mkdir(parents=True)
    stage(
        bundle,
        layout,
        Trust(kind="insecure"),
        platform=platform(),
        now=int(time.time()),
        progress=SilentProgress(),
        say=lambda line: None,
    )
    switch = await start_switch(tmp_path / "switch.log", ENV, ipv6=False)
    try:
        machine = await start_machine(switch, group, name="m1", port=Port(1), home=home, env=ENV, ipv6=False)
        write_config(home, {"node-name": "m1"})
        try:
            yield Booted(machine)
        finally:
            await machine.stop()
    finally:
        await switch.child.stop(0.0)


def ready(status: dict[str, Any]) -> bool:
    return bool(status["ready"])


def everything(status: dict[str, Any]) -> bool:
    return ready(status) and all(stage["reached"] is not None for stage in status["stages"])


def stage_of(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next(stage for stage in status["stages"] if stage["name"] == name)


def test_a_node_survives_whatever_dies_and_a_reset_leaves_nothing(
    ledger: Ledger, tmp_path: Path, rke2_bundle: Path
) -> None:
    async def inside() -> None:
        async with booted(ledger, tmp_path, rke2_bundle) as node:
            before = await _settings(node)
            await _bad_archives_are_named(node, rke2_bundle)
            await _killed_while_it_comes_up(node)
            await node.settled()
            pods = {name: await node.pids(name) for name in ("etcd", "kube-apiserver")}
            restarts = await node.restarts()
            await _restarted(node)
            await _kubelet_killed(node)
            await _containerd_killed(node)
            assert {name: await node.pids(name) for name in pods} == pods, "no pod was touched"
            assert await node.restarts() == restarts
            await _pods_killed(node)
            await _secrets_are_roots(node)
            await _reset(node)
            assert await _settings(node) == before

    asyncio.run(inside())


async def _settings(node: Booted) -> str:
    """What a node changes of its machine's kernel; at the first call everything is as no node wants it."""
    names = [name for name in (*WANTED, *OF_KUBELET) if node.machine.outside(Path("/proc/sys") / name).exists()]
    assert {"net/ipv4/ip_forward", "vm/overcommit_memory"} <= set(names)
    if node.daemon is None:
        commands = [f"echo 0 > /proc/sys/{name} || true" for name in names]
        await node.machine.call(["sh", "-c", "; ".join(commands)])
    return (await node.machine.call(["grep", "-H", "", *(f"/proc/sys/{name}" for name in names)])).text


async def _bad_archives_are_named(node: Booted, bundle: Path) -> None:
    """A damaged archive and somebody else's in agent/images: named by status and in the log, and not imported."""
    images = host_layout(node.machine.home).images
    damaged, foreign = images / FLANNEL, images / "somebody.tar"
    damaged.unlink()  # a link to the kept bundle, which stays as it is
    shutil.copy(bundle / "images" / FLANNEL, damaged)
    flip(damaged, damaged.stat().st_size // 2)
    foreign.write_bytes(
        tars.new_docker(tars.image(tars.tar(tars.member("bin/somebody", b"hello"))), "docker.io/some/body:1")
    )
    await node.start()
    status = await node.until(lambda status: reached(status, "images"))
    assert set(status["problems"]) == {FLANNEL, foreign.name}
    assert "damaged" in status["problems"][FLANNEL] and "no admitted bundle" in status["problems"][foreign.name]
    assert FLANNEL in stage_of(status, "archives")["detail"]
    ctr = [str(DEFAULT_DATA_DIR / "bin/ctr"), "-a", str(SOCKET), "-n", "k8s.io", "images", "ls", "-q"]
    there = (await node.machine.call(ctr)).text
    assert "hardened-etcd" in there and "flannel" not in there and "some/body" not in there
    log = (node.machine.home / "server.log").read_text()
    assert f"not imported: {FLANNEL}: damaged" in log and f"not imported: {foreign.name}" in log
    await node.machine.call(["kill", "-9", str(status["pid"])])
    await node.until(lambda status: not status["running"])
    foreign.unlink()
    damaged.unlink()
    os.link(bundle_folder(images, bundle) / "images" / FLANNEL, damaged)


def bundle_folder(images: Path, bundle: Path) -> Path:
    """Where the staged bundle is kept."""
    return images.parents[1] / "sealift/bundles" / bundle.name


async def _killed_while_it_comes_up(node: Booted) -> None:
    for name in ("archives", "content", "containerd", "images", "kubelet", "etcd", "kube-apiserver", "deploy"):
        await node.start()
        pid = (await node.until(lambda status, name=name: reached(status, name)))["pid"]  # type: ignore[misc]
        await node.machine.call(["kill", "-9", str(pid)])
        await node.until(lambda status: not status["running"])
    await node.start()
    await node.until(everything)


def reached(status: dict[str, Any], name: str) -> bool:
    """In this run: the journal of the run before is there until the new one has its first words."""
    return status["running"] and bool(status["stages"]) and stage_of(status, name)["reached"] is not None


async def _restarted(node: Booted) -> None:
    pid = (await node.status())["pid"]
    await node.machine.call(["kill", "-TERM", str(pid)])
    await node.until(lambda status: not status["running"])
    await node.start()
    status = await node.until(everything)
    assert "unchanged" in stage_of(status, "images")["detail"]


async def _kubelet_killed(node: Booted) -> None:
    await node.kill("kubelet")
    await node.until(
        lambda status: stage_of(status, "kubelet")["restarts"] == 1 and stage_of(status, "kubelet")["phase"] == "up"
    )


async def _containerd_killed(node: Booted) -> None:
    await node.kill("containerd")
    status = await node.until(lambda status: not status["running"])
    assert status["stop"].startswith("containerd: ") and "SIGKILL" in status["stop"]
    assert await node.pids("kubelet") == []
    await node.start()
    await node.until(everything)


async def _pods_killed(node: Booted) -> None:
    for name in ("etcd", "kube-apiserver"):
        before = await node.pids(name)
        await node.kill(name)
        for _ in range(600):
            if (found := await node.pids(name)) and found != before:
                break
            await asyncio.sleep(0.2)
        assert found and found != before
    await node.until(ready)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        restarts = await node.try_restarts()
        if restarts.get("etcd-m1/etcd") and restarts.get("kube-apiserver-m1/kube-apiserver"):
            return
        await asyncio.sleep(0.5)
    raise AssertionError("etcd and kube-apiserver did not come back")


async def _secrets_are_roots(node: Booted) -> None:
    folders = ("/var/lib/rancher/rke2/server", "/var/lib/rancher/rke2/agent", "/etc/rancher")
    # Empty ones are where the runtime mounts the real ones, in folders that only root enters.
    for name in ("*.key", "*.kubeconfig", "rke2.yaml", "token"):
        found = await node.machine.call(
            ["find", *folders, "-type", "f", "-name", name, "-perm", "/077", "-not", "-empty"]
        )
        assert found.text == ""
    # Whatever they are called: nobody but root reads any key, not even where a folder would have to stop him.
    search = ["grep", "-rlsE", "PRIVATE KEY|client-key-data|aescbc|secretbox", *folders]
    secret = (await node.machine.call([*search, "--exclude-dir=containerd", "--exclude-dir=db"])).text.splitlines()
    assert len(secret) > 20
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", *secret]
    refused = await node.machine.call(nobody, check=False)
    assert refused.text == "" and refused.stderr.count(b"Permission denied") == len(secret)
    modes = (await node.machine.call(["stat", "-c", "%a %n", *secret])).text.splitlines()
    assert [line for line in modes if not line.startswith("600 ")] == []


async def _reset(node: Booted) -> None:
    text = await node.node("reset", "--yes", "--json", "--bundles")
    assert json.loads(text)["left"] == []
    processes = (await node.machine.call(["ps", "-e", "-o", "comm="])).text.split()
    assert not {"containerd", "kubelet", "etcd", "pause", "containerd-shim"} & set(processes), processes
    links = (await node.machine.call(["ip", "-br", "link"])).text.splitlines()
    assert [line.split()[0].partition("@")[0] for line in links] == ["lo", "eth0"]
    mounts = (await node.machine.call(["cat", "/proc/self/mountinfo"])).text
    assert "/run/k3s" not in mounts and "/var/lib/kubelet/pods" not in mounts and "/run/netns/cni" not in mounts
    assert (await node.machine.call(["nft", "list", "ruleset"])).text == ""
    left = await node.machine.call(
        ["find", "/var/lib/rancher", "/var/lib/kubelet", "/etc/cni", "/opt/cni", "/var/lib/cni", "-type", "f"]
    )
    assert left.text == ""
    groups = await node.machine.call(["find", "/sys/fs/cgroup", "-name", "kubepods*"])
    assert groups.text == ""
    spaces = (await node.machine.call(["sh", "-c", "ls /run/netns; readlink /proc/[0-9]*/ns/net | sort -u"])).text
    assert len(spaces.split()) == 1, "no other network namespace than the machine's"
