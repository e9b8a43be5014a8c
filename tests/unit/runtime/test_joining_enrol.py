"""An agent against a real supervisor: it joins, is refused in clear words, and starts again while servers are down."""

import asyncio
import dataclasses
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import FormatError, SealiftError, TrustError
from runtime.entropy import SystemEntropy
from runtime.joining import enrol
from runtime.joining.clusterdoc import cluster_document, with_cluster
from runtime.joining.supervisor import NotYetError, SupervisorClient
from runtime.nodeconf.model import NodeConfig
from runtime.supervisor import clocks
from runtime.supervisor.token import JoinToken
from runtime.tokens import ensure_node_password
from tests.support.daemons import make_test_node
from tests.support.supervisors import AGENT_SECRET, SERVER_SECRET, Site


def agent_config(tmp_path: Path, *flags: tuple[str, str], name: str = "node-1") -> NodeConfig:
    data = tmp_path / "agent" / "data"
    data.mkdir(parents=True, exist_ok=True)
    given = (("server", "https://127.0.0.1:9345"), ("node-name", name), *flags)
    return make_test_node(data, tmp_path, role="agent", flags=given).configured


def client(site: Site, node: NodeConfig, token: JoinToken | None = None) -> SupervisorClient:
    return SupervisorClient(
        url=f"https://127.0.0.1:{site.port}",
        authority=node.paths.agent / "server-ca.crt",
        token=token or site.token(),
    )


async def enrolled(site: Site, node: NodeConfig, token: JoinToken | None = None, *, password: str = "pw",
                   now: datetime | None = None) -> int:  # fmt: skip
    node.paths.agent.mkdir(parents=True, exist_ok=True)
    asked = client(site, node, token)
    await asked.trust()
    enrolment = enrol.Enrolment(
        node=node,
        client=asked,
        password=password,
        now=now or datetime.now(UTC),
        entropy=SystemEntropy(),
        say=lambda line: None,
    )
    return await enrolment.run()


def on(site: Site, work: Callable[[], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with site.open():
            return await work()

    return asyncio.run(run())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


def test_an_agent_gets_three_certificates_once(site: Site, tmp_path: Path) -> None:
    node = agent_config(tmp_path)

    async def work() -> tuple[int, int]:
        return await enrolled(site, node), await enrolled(site, node)

    assert on(site, work) == (3, 0)
    assert enrol.has_all(node, datetime.now(UTC))
    for path in node.paths.agent.iterdir():
        assert path.stat().st_mode & 0o777 == (0o600 if path.suffix == ".key" else 0o644)


def test_keys_never_leave_the_machine(site: Site, tmp_path: Path) -> None:
    """What was made here is kept, and a second joining uses the same keys."""
    node = agent_config(tmp_path)

    async def work() -> list[bytes]:
        await enrolled(site, node)
        keys = [path.read_bytes() for path in sorted(node.paths.agent.glob("*.key"))]
        for path in node.paths.agent.glob("*.crt"):
            path.unlink()
        await enrolled(site, node)
        return keys

    before = on(site, work)
    assert [path.read_bytes() for path in sorted(node.paths.agent.glob("*.key"))] == before


@pytest.mark.parametrize(
    ("secret", "user"), [("wrong", "node"), (AGENT_SECRET, "server"), (SERVER_SECRET, "admin"), ("", "node")]
)
def test_a_wrong_token_is_told_as_such(site: Site, tmp_path: Path, secret: str, user: str) -> None:
    node = agent_config(tmp_path)
    with pytest.raises(TrustError, match="refuses the token") as caught:
        on(site, lambda: enrolled(site, node, site.token(user, secret)))
    assert not secret or secret not in str(caught.value)


def test_a_token_of_another_cluster_is_told_before_the_secret_is_said(site: Site, tmp_path: Path) -> None:
    node = agent_config(tmp_path)
    other = dataclasses.replace(site.token(), authority="ab" * 32)
    with pytest.raises(TrustError, match="another authority than the token names"):
        on(site, lambda: enrolled(site, node, other))
    assert not site.said and not (node.paths.agent / "server-ca.crt").exists()


def test_a_used_name_with_another_password_is_told_and_joins_when_mended(site: Site, tmp_path: Path) -> None:
    first, second = agent_config(tmp_path / "a"), agent_config(tmp_path / "b")

    async def work() -> str:
        await enrolled(site, first, password="first")
        with pytest.raises(TrustError) as caught:
            await enrolled(site, second, password="second")
        del site.passwords.hashes["node-1"]  # the administrator deletes the Secret
        assert await enrolled(site, second, password="second") == 3
        return str(caught.value)

    assert "another machine is called node-1" in on(site, work)


def test_a_server_that_is_not_there_is_no_refusal(site: Site, tmp_path: Path) -> None:
    node = agent_config(tmp_path)
    site.port = 1
    with pytest.raises(NotYetError, match="no answer"):
        asyncio.run(enrolled(site, node))


def test_a_cluster_that_is_not_up_is_no_refusal(site: Site, tmp_path: Path) -> None:
    site.passwords.broken = True
    with pytest.raises(NotYetError, match="does not answer yet"):
        on(site, lambda: enrolled(site, agent_config(tmp_path)))


def test_a_certificate_that_nears_its_end_is_asked_for_again(site: Site, tmp_path: Path) -> None:
    node = agent_config(tmp_path)

    async def work() -> int:
        await enrolled(site, node)
        return await enrolled(site, node, now=datetime.now(UTC) + timedelta(days=250))

    with pytest.raises(FormatError, match="another certificate"):
        on(site, work)  # the server's clock says otherwise: it issues what is too old for this machine


def test_a_clock_that_is_before_the_certificate_is_told(site: Site, tmp_path: Path) -> None:
    node = agent_config(tmp_path)
    with pytest.raises(FormatError, match="it begins on"):
        on(site, lambda: enrolled(site, node, now=datetime.now(UTC) - timedelta(days=3)))


def test_a_clock_that_is_off_is_told_on_both_sides_and_joins_when_mended(site: Site, tmp_path: Path) -> None:
    node = agent_config(tmp_path)
    node.paths.agent.mkdir(parents=True, exist_ok=True)

    async def joins(days: float) -> int:
        asked = dataclasses.replace(client(site, node), clock=lambda: time.time() - days * 86_400)
        now = datetime.now(UTC) - timedelta(days=days)
        work = enrol.Enrolment(node=node, client=asked, password="pw", now=now, entropy=SystemEntropy(), say=print)
        async with asked.telling_clocks():
            await asked.trust()
            return await work.run()

    async def work() -> None:
        with pytest.raises(TrustError, match=r"it begins on|another certificate") as caught:
            await joins(3)
        assert "this machine's clock is 3.0 days behind the server's" in caught.value.message
        assert "set this machine's clock" in caught.value.hint
        assert await joins(0) == 3

    on(site, work)
    assert site.said == ["warning: 127.0.0.1 wants to join, and its clock is 3.0 days behind this machine's"]


@pytest.mark.parametrize("text", ["", "-5", "1e9", "٣", "9" * 13, "Sat, 99 Foo"])
def test_what_is_no_time_is_no_warning(text: str) -> None:
    assert clocks.read_header(text) is None and clocks.read_date(text) is None


def test_another_address_of_the_node_is_another_certificate(site: Site, tmp_path: Path) -> None:
    node = agent_config(tmp_path)
    moved = dataclasses.replace(node, node_ips=(ipaddress.ip_address("192.0.2.77"),))

    async def work() -> tuple[int, int]:
        await enrolled(site, node)
        return await enrolled(site, moved), await enrolled(site, moved)

    assert on(site, work) == (1, 0)


def test_what_the_cluster_has_decided_counts_on_agents(tmp_path: Path) -> None:
    server = make_test_node(
        tmp_path,
        tmp_path,
        flags=(
            ("cluster-cidr", "10.52.0.0/16"),
            ("service-cidr", "10.53.0.0/16"),
            ("cluster-domain", "ship.local"),
            ("disable-kube-proxy", "true"),
        ),
    ).configured
    document = json.loads(json.dumps(cluster_document(server)))
    found = with_cluster(agent_config(tmp_path), document, where="server")
    assert (found.cluster_cidrs, found.service_cidrs, found.cluster_dns, found.cluster_domain, found.kube_proxy) == (
        server.cluster_cidrs,
        server.service_cidrs,
        server.cluster_dns,
        "ship.local",
        False,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"ClusterIPRanges": []},
        {"ClusterIPRanges": [{"IP": "10.0.0.0", "Mask": "/w8A/w=="}]},
        {"ClusterIPRanges": [{"IP": "10.0.0.0", "Mask": "x"}]},
        {"ClusterIPRanges": [None]},
        {"ServiceIPRanges": [{"IP": "10.0.0.1", "Mask": "//8AAA=="}]},
        {"ClusterDNSs": ["nobody"]},
        {"ClusterDNSs": ["10.0.0.1"] * 9},
        {"ClusterDomain": 3},
        {"ClusterDomain": "x" * 300},
        {"DisableKubeProxy": "yes"},
        {"SystemDefaultRegistry": None},
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    document = cluster_document(make_test_node(tmp_path, tmp_path).configured) | change
    with pytest.raises(FormatError, match=next(iter(change))):
        with_cluster(agent_config(tmp_path), document, where="server")


@pytest.mark.parametrize("document", [None, [], "x", 3])
def test_what_is_no_configuration_is_named(tmp_path: Path, document: object) -> None:
    with pytest.raises(SealiftError, match="not the configuration"):
        with_cluster(agent_config(tmp_path), document, where="server")


def test_a_machine_keeps_its_password(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "node" / "password"
    first = ensure_node_password(path, SystemEntropy())
    assert len(first) == 32 and ensure_node_password(path, SystemEntropy()) == first
    assert path.stat().st_mode & 0o777 == 0o600
