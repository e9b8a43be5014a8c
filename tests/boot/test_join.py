"""A server of the real bundle, and an agent with an empty disk: two machines on one switch that leads nowhere."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runtime import admitted
from runtime.layout import DEFAULT_DATA_DIR
from runtime.prove.boot import host_layout
from runtime.prove.ledger import Ledger
from tests.support import crowd
from tests.support.sites import Joined, site

pytestmark = pytest.mark.real
CROWD = 500


def test_an_agent_without_a_bundle_joins_is_refused_and_comes_back_while_its_server_is_down(
    ledger: Ledger, tmp_path: Path, rke2_bundle: Path
) -> None:
    async def inside() -> None:
        async with site(ledger, tmp_path, rke2_bundle, "server", "agent", bare=(2,)) as (server, agent):
            agent.config = {
                "server": f"https://{server.machine.port.address}:9345",
                "token": "K10" + "0" * 64 + "::node:x",
            }
            await agent.start()
            await agent.until_said("no answer")
            await server.start()
            await agent.until_said("another authority than the token names")
            await agent.stop()
            pinned, _, _ = server.secret("node-token").partition("::")
            agent.config["token"] = f"{pinned}::node:wrong"
            await agent.start()
            await agent.until_said("the server refuses the token")
            await agent.stop()
            await server.until_ready()
            agent.config["token"] = await _token(server, "--ttl", "1s")
            await asyncio.sleep(1.0)
            await agent.start()
            await agent.until_said("bootstrap tokens end")
            await server.until_said("with the bootstrap token")
            await agent.stop()
            agent.config["token"] = await _token(server, "--ttl", "1h", "--description", "rack 4")
            agent.config |= {"node-label": "site=lab", "node-taint": "lab=yes:PreferNoSchedule"}
            async with _a_crowd(server):
                began = time.monotonic()
                await agent.start()
                await agent.until_ready()
                print(f"agent Ready {time.monotonic() - began:.1f} s after its start, through {CROWD} strangers")
            nodes = {node["metadata"]["name"]: node for node in await server.objects("nodes")}
            assert nodes.keys() == {"m1", "m2"}
            assert nodes["m2"]["metadata"]["labels"]["site"] == "lab"
            taint = {"key": "lab", "value": "yes", "effect": "PreferNoSchedule"}
            assert taint in nodes["m2"]["spec"]["taints"] and not nodes["m1"]["spec"].get("taints")
            roles = {label for label in nodes["m1"]["metadata"]["labels"] if "node-role" in label}
            assert roles == {f"node-role.kubernetes.io/{role}" for role in ("control-plane", "etcd")}
            assert server.secret("token") not in agent.log.read_text() + server.log.read_text()
            _the_bundle_is_the_server_s(agent, rke2_bundle)
            await _names_are_kept(server)
            await _status_and_metrics_show_the_cluster(server, agent)
            await _a_stranger_does_not_become_the_server(server, agent)
            await _ended_tokens_do_not_matter_to_who_has_joined(server, agent)
            await server.stop()
            await agent.stop()
            await agent.start()
            await agent.until_said("no server answers, going on with what is known")
            await agent.until_said("kubelet")

    asyncio.run(inside())


@asynccontextmanager
async def _a_crowd(server: Joined) -> AsyncIterator[None]:
    """Strangers who are silent, send garbage, or drip: they are there, they are hung up on, and they come again."""
    log = server.machine.home / "crowd.log"
    argv = [sys.executable, "-P", crowd.__file__, "9345", str(CROWD)]
    child = await server.machine.start(argv, log=log, env={"PATH": server.machine.env["PATH"]})
    try:
        async with asyncio.timeout(20.0):
            while "all here" not in log.read_text():
                await asyncio.sleep(0.1)
        yield
        assert child.process.returncode is None and log.read_text().count(".") > CROWD // 3, log.read_text()[-500:]
    finally:
        await child.stop(0.0)


async def _token(server: Joined, *flags: str) -> str:
    return (await server.node_command("token", "create", *flags)).strip()


async def _ended_tokens_do_not_matter_to_who_has_joined(server: Joined, agent: Joined) -> None:
    rows = json.loads(await server.node_command("token", "list", "--json"))
    (identity,) = (row["id"] for row in rows if row["description"] == "rack 4")
    await server.node_command("token", "delete", identity)
    await agent.stop()
    agent.log.rename(agent.log.with_suffix(".before"))
    await agent.start()
    await agent.until_said("join: certificates are good")
    assert "no server answers" not in agent.log.read_text() and agent.config["token"] not in agent.log.read_text()


def _the_bundle_is_the_server_s(agent: Joined, bundle: Path) -> None:
    layout = host_layout(agent.machine.home)
    record = admitted.read(layout.admitted)
    assert record is not None and record.decided is not None and record.decided.trust == "server"
    kept = layout.bundles / record.bundle
    assert (kept / "bundle.json").read_bytes() == (bundle / "bundle.json").read_bytes()
    assert not layout.pulled.exists()
    assert "no policy is in force" in agent.log.read_text()


async def _names_are_kept(server: Joined) -> None:
    """The agent's, and the server's own."""
    for name in ("m1", "m2"):
        words = ("get", "secret", "-n", "kube-system", f"{name}.node-password.rke2", "-o", "json")
        assert json.loads(await server.kubectl(*words))["immutable"] is True


async def _status_and_metrics_show_the_cluster(server: Joined, agent: Joined) -> None:
    """The server tells all nodes and etcd; the agent, which may not ask for others, its own Node."""
    whole, own = await server.status(), await agent.status()
    assert {node["name"]: node["ready"] for node in whole["cluster"]} == {"m1": True, "m2": True}
    assert [node["name"] for node in own["cluster"]] == ["m2"] and own["etcd"] is None
    assert [member["node"] for member in whole["etcd"]["members"]] == ["m1"] and whole["etcd"]["leader"]
    assert {alarm["kind"] for alarm in whole["alarms"]} <= {"disk"}, "the disk is the host's"
    tree = await server.node_command("status")
    assert "cluster: 2 of 2 nodes ready" in tree and "etcd: 1 voter, 1 needed" in tree
    tls = DEFAULT_DATA_DIR / "server/tls"
    words = ("curl", "-s", "--cacert", f"{tls}/server-ca.crt", "--cert", f"{tls}/client-admin.crt")
    page = await server.machine.call([*words, "--key", f"{tls}/client-admin.key", "https://127.0.0.1:9345/metrics"])
    assert 'sealift_node_ready{node="m2"' in page.text and "sealift_etcd_has_leader 1" in page.text


async def _a_stranger_does_not_become_the_server(server: Joined, agent: Joined) -> None:
    """The agents' token is right, the name is the server's."""
    script = (
        'curl -sk -u "node:${TOKEN##*:}" -H "rke2-Node-Name: m1" -H "rke2-Node-Password: mine"'
        f" --data-binary x {server.url}/v1-rke2/client-kubelet.crt"
    )
    env = {"TOKEN": server.secret("node-token")}
    found = (await agent.machine.call(["sh", "-ec", script], env=env)).text
    assert json.loads(found)["code"] == 403 and "node password rejected" in json.loads(found)["message"]
