"""Tokens that end: who gets in with them, who does not, and what each side says of it."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import FormatError, SealiftError, TrustError
from runtime import cli
from runtime.joining.supervisor import NotYetError, SupervisorClient
from runtime.supervisor.bootstraps import (
    GROUP,
    OCTETS,
    BootstrapToken,
    Verdict,
    as_secret,
    judge,
    make,
    read_secret,
    split,
)
from runtime.supervisor.token import JoinToken, authority_hash, parse
from tests.support.supervisors import SERVER_SECRET, Site

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "0123456789abcdef"
TOKEN = BootstrapToken(id="abcdef", secret=SECRET, expires=None, description="rack 4")


def test_a_fresh_token_has_the_form_of_kubernetes() -> None:
    found = {make(hashlib.sha512(bytes([n])).digest()[:OCTETS]) for n in range(50)}
    assert len(found) == 50 and all(split(text) for text in found)


@pytest.mark.parametrize("text", ["", "abcdef", "ABCDEF.0123456789abcdef", "abcdef.short", f"node:abcdef.{SECRET}"])
def test_what_is_no_bootstrap_token_is_an_ordinary_secret(text: str) -> None:
    assert split(text) is None


def test_tokens_are_parsed_with_and_without_a_user() -> None:
    pinned = "K10" + "0" * 64
    found = parse(f"{pinned}::abcdef.{SECRET}", default_user="node")
    assert found.user == "" and found.text == f"{pinned}::abcdef.{SECRET}"
    assert found.authorization == f"Bearer abcdef.{SECRET}"
    assert parse(f"{pinned}::node:abcdef.{SECRET}", default_user="server").user == "node"
    ordinary = parse(f"{pinned}::secret", default_user="node")
    assert base64.b64decode(ordinary.authorization.removeprefix("Basic ")) == b"node:secret"


def test_only_who_knows_the_secret_learns_that_a_token_has_ended() -> None:
    ended = replace(TOKEN, expires=NOW)
    assert judge(ended, SECRET, NOW) is Verdict.EXPIRED
    assert judge(ended, SECRET, NOW - timedelta(seconds=1)) is Verdict.GOOD
    assert judge(ended, "f" * 16, NOW) is judge(None, SECRET, NOW) is judge(None, "", NOW) is Verdict.WRONG
    assert judge(TOKEN, SECRET, NOW) is Verdict.GOOD


def test_a_token_comes_back_from_its_secret() -> None:
    token = replace(TOKEN, expires=NOW)
    assert read_secret(as_secret(token), where="t") == token and SECRET not in repr(token)
    assert as_secret(token)["type"] == "bootstrap.kubernetes.io/token"
    assert as_secret(token)["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("usage-bootstrap-authentication", b"false"),
        ("auth-extra-groups", b"system:bootstrappers:kubeadm:default-node-token"),
        ("auth-extra-groups", f"{GROUP}-too".encode()),
    ],
)
def test_tokens_for_something_else_let_nobody_in(name: str, value: bytes) -> None:
    document = as_secret(TOKEN)
    document["data"][name] = base64.b64encode(value).decode()
    assert read_secret(document, where="t") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("token-secret", b"short"), ("token-id", b"../../x"), ("expiration", b"soon"), ("expiration", b"2026-01-01")],
)
def test_a_secret_that_is_no_token_is_an_error(name: str, value: bytes) -> None:
    document = as_secret(TOKEN)
    document["data"][name] = base64.b64encode(value).decode()
    with pytest.raises(FormatError, match="not a bootstrap token"):
        read_secret(document, where="t")


def with_client(tmp_path: Path, work: Callable[[Site, SupervisorClient], Awaitable[Any]]) -> tuple[Site, Any]:
    """A site that knows TOKEN, and a client that has it."""
    site = Site(tmp_path)
    site.bootstraps["abcdef"] = TOKEN

    async def run() -> Any:
        async with site.open():
            pinned = authority_hash(site.authority)
            token = JoinToken(authority=pinned, user="", secret=TOKEN.text)
            client = SupervisorClient(url=f"https://127.0.0.1:{site.port}", authority=tmp_path / "own.crt", token=token)
            await client.trust()
            return await work(site, client)

    return site, asyncio.run(run())


def test_an_agent_gets_what_agents_get_and_nothing_of_servers(tmp_path: Path) -> None:
    async def work(site: Site, client: SupervisorClient) -> None:
        assert await client.document("config") == {"ClusterDomain": "cluster.local"}
        with pytest.raises(TrustError):
            await client.get("server-bootstrap")

    site, _ = with_client(tmp_path, work)
    assert any("server-bootstrap as bootstrap token abcdef" in line for line in site.said)
    assert not any(SECRET in line for line in site.said)


def test_an_expired_token_is_told_on_both_sides(tmp_path: Path) -> None:
    async def work(site: Site, client: SupervisorClient) -> None:
        site.bootstraps["abcdef"] = replace(TOKEN, expires=datetime.now(UTC))
        with pytest.raises(TrustError, match="refuses the token: the token has expired") as caught:
            await client.get("config")
        assert "token create" in caught.value.hint
        del site.bootstraps["abcdef"]  # the cluster's cleaner
        with pytest.raises(TrustError, match="the server refuses the token") as caught:
            await client.get("config")
        assert "bootstrap tokens end" in caught.value.hint

    site, _ = with_client(tmp_path, work)
    assert [line.partition(" with ")[2] for line in site.said] == ["the bootstrap token abcdef"] * 2


def test_while_the_cluster_is_away_a_bootstrap_token_is_neither_good_nor_wrong(tmp_path: Path) -> None:
    async def work(site: Site, client: SupervisorClient) -> None:
        site.passwords.broken = True
        with pytest.raises(NotYetError, match="the cluster does not answer yet"):
            await client.get("config")

    with_client(tmp_path, work)


def test_a_machine_that_has_joined_needs_no_token(tmp_path: Path) -> None:
    async def work(site: Site, client: SupervisorClient) -> None:
        site.bootstraps.clear()
        certificate, key = site.node_certificate("n1")
        from runtime.daemon.api import Identity

        known = replace(client, known=Identity(certificate=certificate, key=key))
        assert await known.document("config") == {"ClusterDomain": "cluster.local"}
        with pytest.raises(SealiftError, match="refuses the token"):
            await client.get("config")

    with_client(tmp_path, work)


def test_a_wrong_token_is_told_to_the_journal_without_a_word_of_it(tmp_path: Path) -> None:
    async def work(site: Site, client: SupervisorClient) -> None:
        wrong = replace(client, token=replace(client.token, user="node", secret=SERVER_SECRET + "x"))
        with pytest.raises(TrustError, match="refuses the token"):
            await wrong.get("config")

    site, _ = with_client(tmp_path, work)
    assert site.said == ["refused 127.0.0.1: GET /v1-rke2/config with a wrong token"]


@pytest.mark.parametrize("ttl", ["", "h", "1w", "-1h", "1.5h", "٣h"])
def test_a_time_that_is_none_is_wrong_usage(ttl: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["token", "create", "--ttl", ttl]) == 2
    assert "24h" in capsys.readouterr().err


def test_a_token_can_be_made_beforehand(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["token", "generate"]) == 0
    assert split(capsys.readouterr().out.strip())
