"""What a further server takes over, what it refuses, and what a restore on a new machine finds."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import FormatError, MissingError, ProblemsError, SealiftError, TrustError, UsageError
from runtime.configs.etcd import etcd_config
from runtime.etcd import sharedkeys
from runtime.etcd.membership import ensure_member_name, known_membership, read_membership
from runtime.etcd.reset import check_reset, force, restore
from runtime.joining.bootstrap import check_shared, keep_agent_secret, read_bootstrap, shared_document, take_over
from runtime.joining.clusterdoc import cluster_document
from runtime.nodeconf.model import NodeConfig
from runtime.pki.ensure import Outcome, ensure_server_pki
from runtime.supervisor import token
from runtime.tokens import ensure_tokens
from tests.support.gateways import database, key_value
from tests.support.nodes import NOW, FewKeys, node_config, start

JOIN = ("server", "https://192.0.2.1:9345")


def server(root: Path, *flags: tuple[str, str]) -> NodeConfig:
    """A cluster's first server, with all its files."""
    node = node_config(root, *flags)
    start(node)
    ensure_tokens(node, authority=(node.paths.tls / "server-ca.crt").read_bytes(), entropy=FewKeys())
    return node


def test_a_further_server_has_the_clusters_authorities_and_makes_none(tmp_path: Path) -> None:
    first = server(tmp_path / "a", ("agent-token", "for-agents"))
    second = node_config(tmp_path / "b", JOIN)
    inheritance = read_bootstrap(shared_document(first.paths), where="t")
    assert inheritance.agent_secret == "for-agents" != inheritance.server_secret
    assert "for-agents" not in repr(inheritance)
    assert take_over(second.paths, inheritance) == 13
    assert take_over(second.paths, inheritance) == 0
    keep_agent_secret(second, inheritance)
    outcome = Outcome()
    ensure_server_pki(second, now=NOW, entropy=FewKeys(), outcome=outcome)
    assert not [path for path in outcome.made if "-ca." in path.name or path.name == "service.key"]
    for path in ("tls/server-ca.key", "cred/encryption-config.json", "tls/etcd/peer-ca.crt"):
        assert (second.paths.server / path).read_bytes() == (first.paths.server / path).read_bytes()
    assert (second.paths.tls / "server-ca.key").stat().st_mode & 0o777 == 0o600
    joined = ensure_tokens(second, authority=(second.paths.tls / "server-ca.crt").read_bytes(), entropy=FewKeys())
    assert joined.agent == "for-agents", "agents that know only their own token reach this server too"


def test_keys_of_another_cluster_are_never_replaced(tmp_path: Path) -> None:
    first, other = server(tmp_path / "a"), server(tmp_path / "b")
    before = (other.paths.tls / "server-ca.key").read_bytes()
    with pytest.raises(TrustError, match="of the cluster to join"):
        take_over(other.paths, read_bootstrap(shared_document(first.paths), where="t"))
    assert (other.paths.tls / "server-ca.key").read_bytes() == before


def test_keys_of_secrets_that_rotated_before_a_server_was_a_member_are_the_cluster_s(tmp_path: Path) -> None:
    first, second = server(tmp_path / "a"), node_config(tmp_path / "b")
    take_over(second.paths, read_bootstrap(shared_document(first.paths), where="t"))
    first.paths.encryption_config.write_bytes(b"rotated")
    inheritance = read_bootstrap(shared_document(first.paths), where="t")
    assert take_over(second.paths, inheritance) == 1
    assert second.paths.encryption_config.read_bytes() == b"rotated"
    assert list(second.paths.cred.glob("encryption-config.json*")) == [second.paths.encryption_config]
    (second.paths.tls / "server-ca.key").unlink()
    second.paths.encryption_config.write_bytes(b"somebody else's")
    with pytest.raises(TrustError, match="EncryptionConfig"):
        take_over(second.paths, inheritance)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda document: document.pop("ClientCAKey"), "ClientCAKey"),
        (lambda document: document["ServerCA"].update(Content="!"), "ServerCA"),
        (lambda document: document["ServerCA"].update(Content=base64.b64encode(b"x").decode()), "ServerCA"),
        (lambda document: document["ServiceKey"].update(Content=""), "ServiceKey"),
        (lambda document: document["PasswdFile"].update(Content=base64.b64encode(b"x,y").decode()), "PasswdFile"),
    ],
)
def test_a_damaged_answer_is_refused_by_the_files_name(tmp_path: Path, change: Any, name: str) -> None:
    document = shared_document(server(tmp_path).paths)
    change(document)
    with pytest.raises(SealiftError) as caught:
        read_bootstrap(document, where="t")
    assert name in str(caught.value)


def test_settings_that_all_servers_share_are_compared_and_all_differences_named(tmp_path: Path) -> None:
    document = cluster_document(node_config(tmp_path))
    check_shared(node_config(tmp_path, JOIN), document, where="t")
    other = node_config(tmp_path, JOIN, ("cluster-cidr", "10.99.0.0/16"), ("cluster-domain", "other.local"))
    with pytest.raises(ProblemsError) as caught:
        check_shared(other, document, where="t")
    words = str(caught.value)
    assert "cluster-cidr: this server has 10.99.0.0/16, its cluster 10.42.0.0/16" in words
    assert "cluster-domain: this server has other.local, its cluster cluster.local" in words


def test_a_server_that_has_yet_to_join_has_no_membership_and_one_with_data_never_joins_again(tmp_path: Path) -> None:
    node = node_config(tmp_path, JOIN)
    node.paths.etcd.mkdir(parents=True)
    name = ensure_member_name(node, FewKeys())
    assert known_membership(node, name) is None
    assert ensure_member_name(node_config(tmp_path, JOIN, ("node-name", "n2")), FewKeys()).startswith("n2-")
    node.paths.etcd_log.mkdir(parents=True)
    kept = known_membership(node, ensure_member_name(node, FewKeys()))
    assert kept is not None and kept.state == "new"


def snapshot_of(node: NodeConfig, path: Path) -> Path:
    secret = token.parse(node.paths.server_token.read_text(), default_user="server").secret
    sealed = sharedkeys.seal(secret, shared_document(node.paths), salt=b"s" * 8, nonce=b"n" * 12)
    data = database({b"1" * 17: key_value(sharedkeys.key_name(secret).encode(), sealed)}, pages=16)
    path.write_bytes(data + hashlib.sha256(data).digest())
    return path


def test_a_restore_puts_the_data_of_before_aside_and_begins_a_cluster_with_another_identity(tmp_path: Path) -> None:
    node = server(tmp_path)
    node.paths.etcd_log.mkdir(parents=True)
    (node.paths.etcd_log / "old").write_text("precious")
    snapshot = snapshot_of(node, tmp_path / "snapshot-1")
    size = check_reset(node, snapshot)
    done = restore(node, snapshot, size, now=1_800_000_000, entropy=FewKeys(), say=lambda line: None)
    assert done.aside is not None and (done.aside / "member/wal/old").read_text() == "precious"
    assert (node.paths.etcd / "member/snap/db").stat().st_size == size
    membership = read_membership(node.paths)
    assert membership is not None and membership.state == "new" and membership.token == "reset-1800000000"
    assert "initial-cluster-token: reset-1800000000" in etcd_config(node, membership)
    assert not list(node.paths.etcd.parent.glob("etcd-new-*"))


def test_a_new_machine_finds_the_clusters_keys_in_the_snapshot_with_the_token_alone(tmp_path: Path) -> None:
    node = server(tmp_path / "a")
    snapshot = snapshot_of(node, tmp_path / "snapshot-1")
    text = node.paths.server_token.read_text().strip()
    fresh = node_config(tmp_path / "b", ("token", text))
    done = restore(fresh, snapshot, check_reset_size(fresh, snapshot), now=1, entropy=FewKeys(), say=lambda line: None)
    assert done.keys == 13 and done.aside is None
    for path in ("tls/server-ca.key", "tls/service.key", "cred/encryption-config.json"):
        assert (fresh.paths.server / path).read_bytes() == (node.paths.server / path).read_bytes()


def check_reset_size(node: NodeConfig, snapshot: Path) -> int:
    node.paths.data.mkdir(parents=True, exist_ok=True)
    return check_reset(node, snapshot)


def test_a_new_machine_without_the_token_or_with_another_is_told_and_left_as_it_was(tmp_path: Path) -> None:
    snapshot = snapshot_of(server(tmp_path / "a"), tmp_path / "snapshot-1")
    for flags, words in (((), "needs the cluster's token"), ((("token", "another"),), "no keys of the cluster")):
        fresh = node_config(tmp_path / "b", *flags)
        size = check_reset_size(fresh, snapshot)
        with pytest.raises(SealiftError, match=words):
            restore(fresh, snapshot, size, now=1, entropy=FewKeys(), say=lambda line: None)
        assert not fresh.paths.etcd.exists() and not fresh.paths.tls.exists()
        assert not list(fresh.paths.etcd.parent.iterdir())


def test_keys_that_were_rotated_since_are_those_of_the_snapshot_again_and_the_others_are_kept(tmp_path: Path) -> None:
    node = server(tmp_path)
    old = node.paths.encryption_config.read_bytes()
    snapshot = snapshot_of(node, tmp_path / "snapshot-1")
    node.paths.encryption_config.write_bytes(b'{"rotated":1}')
    restore(node, snapshot, check_reset(node, snapshot), now=7, entropy=FewKeys(), say=lambda line: None)
    assert node.paths.encryption_config.read_bytes() == old
    assert node.paths.encryption_config.with_name("encryption-config.json.7").read_bytes() == b'{"rotated":1}'


def test_what_cannot_be_reset_is_refused_before_anything_ends(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="joins another"):
        check_reset(node_config(tmp_path, JOIN), None)
    with pytest.raises(MissingError, match="no data of etcd"):
        check_reset(node_config(tmp_path), None)
    with pytest.raises(MissingError, match="no such snapshot"):
        check_reset(node_config(tmp_path), tmp_path / "none")
    (tmp_path / "junk").write_bytes(b"x" * 1024)
    with pytest.raises(FormatError, match="etcd's database"):
        check_reset(node_config(tmp_path), tmp_path / "junk")


def test_a_forced_start_is_for_one_start_only(tmp_path: Path) -> None:
    node = server(tmp_path)
    force(node, FewKeys())
    membership = read_membership(node.paths)
    assert membership is not None and membership.force
    assert "force-new-cluster: true" in etcd_config(node, membership)
