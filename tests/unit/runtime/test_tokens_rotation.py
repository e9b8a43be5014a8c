"""The cluster's token is rotated: everywhere or told where not, and the old configuration does not end a server."""

import asyncio
import base64
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import SealiftError, TrustError, UsageError
from runtime.daemon.actions.inherit import application
from runtime.daemon.api import Answer, Identity
from runtime.entropy import SystemEntropy
from runtime.etcd import sharedkeys
from runtime.etcd.members import Applicant, Member
from runtime.joining.bootstrap import read_bootstrap, shared_document
from runtime.nodeconf.model import NodeConfig
from runtime.tokenrotation import TokenRotation
from runtime.tokens import change_server_secret, ensure_tokens, read_secrets
from tests.support.daemons import make_test_node
from tests.support.nodes import FewKeys, node_config, start

OLD, NEW = "the-old-secret-of-the-cluster", "the-new-secret-of-the-cluster"


def server(tmp_path: Path, *settings: tuple[str, str]) -> NodeConfig:
    node = node_config(tmp_path, *settings)
    start(node)
    ensure(node)
    return node


def ensure(node: NodeConfig, said: list[str] | None = None) -> None:
    authority = (node.paths.tls / "server-ca.crt").read_bytes()
    ensure_tokens(node, authority=authority, entropy=FewKeys(), say=(said if said is not None else []).append)


def change(node: NodeConfig, secret: str) -> bool:
    authority = (node.paths.tls / "server-ca.crt").read_bytes()
    return change_server_secret(node, secret, authority=authority, entropy=SystemEntropy())


def test_all_files_have_the_new_secret_and_agents_too_where_they_had_the_same(tmp_path: Path) -> None:
    node = server(tmp_path, ("token", OLD))
    pinned = node.paths.server_token.read_text().partition("::")[0]
    assert change(node, NEW) and not change(node, NEW)
    assert read_secrets(node).server == read_secrets(node).agent == NEW
    assert node.paths.server_token.read_text() == f"{pinned}::server:{NEW}\n"
    passwd = node.paths.cred / "passwd"
    assert OLD not in passwd.read_text() and passwd.read_text().count(NEW) == 2
    assert all(path.stat().st_mode & 0o77 == 0 for path in (passwd, node.paths.server_token.resolve()))
    assert OLD not in (node.paths.cred / "rotated-tokens").read_text()


def test_agents_keep_a_token_of_their_own(tmp_path: Path) -> None:
    node = server(tmp_path, ("token", OLD), ("agent-token", "only-for-agents"))
    change(node, NEW)
    assert (read_secrets(node).server, read_secrets(node).agent) == (NEW, "only-for-agents")


def test_a_server_whose_configuration_has_the_rotated_token_starts_and_says_so(tmp_path: Path) -> None:
    node, said = server(tmp_path, ("token", OLD)), list[str]()
    change(node, NEW)
    ensure(node, said)
    assert said == ["warning: the cluster's token was rotated: put the new one, or none, into the configuration"]
    assert read_secrets(node).server == NEW
    with pytest.raises(UsageError, match="not the cluster's"):
        ensure(node_config(tmp_path, ("token", "somebody-else-s")))


def test_a_bootstrap_token_is_no_cluster_s_token(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a bootstrap token is no token of a cluster"):
        server(tmp_path, ("token", "abcdef.0123456789abcdef"))


@dataclass
class Etcd:
    """One etcd, and the servers beside its members by address; `deaf` do not answer, `broken` refuse."""

    kept: dict[str, bytes] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    nodes: tuple[str, ...] = ("n2", "n1", "n3")
    deaf: str = ""
    broken: str = ""
    learner: bool = False

    async def members(self) -> tuple[Member, ...]:
        return tuple(
            Member(id=n, name=f"{n}-0a", peer_urls=(f"https://{n}:2380",), learner=self.learner) for n in self.nodes
        )

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self.kept[key] = value

    async def delete(self, key: str) -> None:
        del self.kept[key]

    async def names(self, prefix: str) -> tuple[str, ...]:
        return tuple(key for key in self.kept if key.startswith(prefix))

    async def ask(self, url: str, identity: Identity, **given: Any) -> Answer:
        host = url.removeprefix("https://").partition(":")[0]
        if host == self.deaf:
            raise SealiftError("no answer")
        if url.endswith("/ping"):
            return Answer(status=200, body=b"pong")
        assert url.endswith(":9345/v1-rke2/token") and given["method"] == "PUT"
        assert json.loads(given["body"]) == {"secret": NEW}
        if host == self.broken:
            return Answer(status=503, body=b"")
        self.told.append(host)
        return Answer(status=200, body=b"{}")


def rotation(node: NodeConfig, etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> TokenRotation:
    """n1 is this server; what stands in etcd is sealed with the old secret."""
    monkeypatch.setattr("runtime.tokenrotation.ask", etcd.ask)
    sealed = sharedkeys.seal(OLD, shared_document(node.paths), salt=os.urandom(16), nonce=os.urandom(12))
    etcd.kept = {sharedkeys.key_name(OLD): sealed}
    return TokenRotation(
        node=node,
        admin=Identity(),
        gateway=etcd,  # type: ignore[arg-type]
        entropy=SystemEntropy(),
        secret=NEW,
        say=lambda line: None,
    )


def test_etcd_and_all_servers_have_the_new_token_and_nothing_opens_with_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, etcd = server(tmp_path, ("token", OLD)), Etcd()
    asyncio.run(rotation(node, etcd, monkeypatch).run())
    assert etcd.told == ["n2", "n3", "n1"], "this server last: until then it knows that it has not ended"
    ((name, sealed),) = etcd.kept.items()
    assert name == sharedkeys.key_name(NEW)
    with pytest.raises(TrustError):
        sharedkeys.unseal(OLD, sealed)
    inheritance = read_bootstrap(sharedkeys.unseal(NEW, sealed), where="t")
    assert (inheritance.server_secret, inheritance.agent_secret) == (NEW, NEW)
    assert inheritance.contents["ServerCAKey"] == (node.paths.tls / "server-ca.key").read_bytes()


def test_a_server_that_is_away_is_named_before_anything_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd = Etcd(deaf="n3")
    work = rotation(server(tmp_path, ("token", OLD)), etcd, monkeypatch)
    before = dict(etcd.kept)
    with pytest.raises(SealiftError, match="servers do not answer: n3"):
        asyncio.run(work.run())
    assert etcd.kept == before and not etcd.told
    etcd.deaf, etcd.learner = "", True
    with pytest.raises(SealiftError, match="joining at this moment"):
        asyncio.run(work.run())
    assert etcd.kept == before and not etcd.told


def test_a_rotation_that_one_server_refused_is_finished_by_running_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, etcd = server(tmp_path, ("token", OLD)), Etcd(broken="n3")
    work = rotation(node, etcd, monkeypatch)
    with pytest.raises(SealiftError, match="n3 did not take the token"):
        asyncio.run(work.run())
    assert len(etcd.kept) == 2 and read_secrets(node).server == OLD
    etcd.broken = ""
    asyncio.run(work.run())
    assert list(etcd.kept) == [sharedkeys.key_name(NEW)] and etcd.told[-1] == "n1"


def test_a_rotation_that_ended_before_the_old_keys_were_taken_away_takes_them_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, etcd = server(tmp_path, ("token", OLD)), Etcd()
    work = rotation(node, etcd, monkeypatch)
    old = dict(etcd.kept)
    asyncio.run(work.run())
    change(node, NEW)
    etcd.kept |= old
    asyncio.run(work.run())
    assert list(etcd.kept) == [sharedkeys.key_name(NEW)]


def test_a_server_that_has_joined_shows_its_certificate_and_not_a_token_of_long_ago(tmp_path: Path) -> None:
    flags = (("server", "https://192.0.2.1:9345"), ("token", "K10::server:of-long-ago"))
    node = make_test_node(tmp_path / "rke2", tmp_path, flags=flags)
    applicant = Applicant(name="n1-0a", peer_url="https://192.0.2.10:2380")
    assert application(node, applicant).client.known is None
    node.paths.tls.mkdir(parents=True)
    (node.paths.tls / "client-admin.crt").write_text("a certificate")
    assert application(node, applicant).client.known == node.admin


def test_words_of_passwd_are_what_joining_servers_read(tmp_path: Path) -> None:
    node = server(tmp_path, ("token", OLD))
    change(node, NEW)
    text = base64.b64decode(shared_document(node.paths)["PasswdFile"]["Content"]).decode()
    assert text.splitlines() == [f"{NEW},node,node,rke2:agent", f"{NEW},server,server,rke2:server"]
