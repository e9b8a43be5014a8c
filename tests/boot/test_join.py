"""A server and an agent of the real bundle, each a machine of its own, on one switch that leads nowhere."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.errors import SealiftError
from runtime.prove.ledger import Ledger
from tests.support.sites import Joined, held_ledger, site

pytestmark = pytest.mark.real


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with held_ledger(tmp_path) as own:
        yield own


def test_an_agent_joins_is_refused_and_comes_back_while_its_server_is_down(
    ledger: Ledger, tmp_path: Path, rke2_bundle: Path
) -> None:
    async def inside() -> None:
        async with site(ledger, tmp_path, rke2_bundle, "server", "agent") as (server, agent):
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
            agent.config["token"] = server.secret("node-token")
            await server.until_ready()
            began = time.monotonic()
            await agent.start()
            await agent.until_ready()
            print(f"agent Ready {time.monotonic() - began:.1f} s after its start")
            nodes = {node["metadata"]["name"] for node in await server.objects("nodes")}
            assert nodes == {"m1", "m2"}
            assert server.secret("token") not in agent.log.read_text() + server.log.read_text()
            await _a_stranger_with_the_same_name_is_refused(server)
            await server.stop()
            await agent.stop()
            await agent.start()
            await agent.until_said("no server answers, going on with what is known")
            await agent.until_said("kubelet")

    asyncio.run(inside())


async def _a_stranger_with_the_same_name_is_refused(server: Joined) -> None:
    try:
        secrets = await server.kubectl("get", "secret", "-n", "kube-system", "m2.node-password.rke2", "-o", "json")
    except SealiftError as exc:
        raise AssertionError("the agent's password is not kept") from exc
    assert json.loads(secrets)["immutable"] is True
