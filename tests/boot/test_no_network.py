"""`cni: none`: nothing of the pod network comes, the node says what it waits for, and a site brings its own."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from runtime.prove.ledger import Ledger
from tests.support.built import built_programs
from tests.support.sites import SECONDS, Joined, site

pytestmark = pytest.mark.real
RECIPE = Path(__file__).resolve().parents[2] / "recipes/rke2-v1.34"
NETWORK = {
    "cniVersion": "1.0.0",
    "name": "site",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "site0",
            "isGateway": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.42.0.0/24"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}


def test_a_node_without_a_pod_network_says_so_until_the_site_s_own_is_there(
    ledger: Ledger, tmp_path: Path, rke2_bundle: Path
) -> None:
    async def inside() -> None:
        async with site(ledger, tmp_path, rke2_bundle, "server") as (node,):
            node.config = {"cni": "none", "ingress-controller": "none"}
            await node.start()
            await _told(node, "it waits for a pod network of the site's own")
            (document,) = await node.objects("nodes")
            (ready,) = (each for each in document["status"]["conditions"] if each["type"] == "Ready")
            assert ready["status"] == "False" and "cni" in ready["message"]
            await _nothing_of_it_came(node)
            _bring_network(node)
            await node.until_ready()
            await _runs(node, "rke2-coredns-")

    asyncio.run(inside())


async def _told(node: Joined, words: str) -> None:
    """Until `status` says it of the stage that waits for the Node."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        status = await node.status()
        if any(stage["name"] == "ready" and words in (stage["detail"] or "") for stage in status["stages"]):
            assert not status["ready"]
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"never said: {words}\n{json.dumps(status)}\n{node.log.read_text()[-4000:]}")


async def _nothing_of_it_came(node: Joined) -> None:
    """Its images are there, as RKE2 imports whatever lies in agent/images; no chart asks for them."""
    end = time.monotonic() + SECONDS
    while "rke2-coredns" not in (charts := await _charts(node)):
        assert time.monotonic() < end, charts
        await asyncio.sleep(0.5)
    assert charts.isdisjoint({"rke2-flannel", "rke2-traefik"})
    sets = [each["metadata"]["name"] for each in await node.objects("daemonsets", "-A")]
    assert not any("flannel" in name or "traefik" in name for name in sets)


async def _charts(node: Joined) -> set[str]:
    """The names of all; none while the cluster does not know yet what a HelmChart is."""
    said = await node.kubectl("get", "helmcharts.helm.cattle.io", "-A", "-o", "name", check=False)
    return {line.rpartition("/")[2] for line in said.splitlines()}


async def _runs(node: Joined, name: str) -> None:
    """Until a pod that needs the network is ready in it."""
    end = time.monotonic() + SECONDS
    while True:
        pods = [pod for pod in await node.objects("pods", "-A") if pod["metadata"]["name"].startswith(name)]
        conditions = [each for pod in pods for each in pod["status"].get("conditions", [])]
        if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
            assert all(pod["status"]["podIP"].startswith("10.42.0.") for pod in pods if pod["status"].get("podIP"))
            return
        assert time.monotonic() < end, (pods, node.log.read_text()[-4000:])
        await asyncio.sleep(0.5)


def _bring_network(node: Joined) -> None:
    """As an administrator would: programs first, then the configuration, whole."""
    programs = node.machine.outside(Path("/opt/cni/bin"))
    programs.mkdir(parents=True, exist_ok=True)
    assert {"bridge", "host-local", "loopback", "portmap"} <= built_programs(
        RECIPE, programs, component="cni-plugins"
    ).keys()
    folder = node.machine.outside(Path("/etc/cni/net.d"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "10-site.conflist.new").write_text(json.dumps(NETWORK))
    (folder / "10-site.conflist.new").rename(folder / "10-site.conflist")
