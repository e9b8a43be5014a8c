"""The keys of Secrets: what is read, written, and refused."""

import asyncio
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bundles.errors import FormatError, SealiftError, UsageError
from runtime.configs.apiserver import encryption_config, encryption_state
from runtime.configs.write import write_server_files
from runtime.daemon.api import Identity
from runtime.entropy import SystemEntropy
from runtime.etcd import sharedkeys
from runtime.etcd.members import Member
from runtime.etcd.shared import Sealed
from runtime.secretkeys.adopt import Adoption
from runtime.secretkeys.config import (
    FINISHED,
    PREPARE,
    ROTATE,
    SecretKey,
    digest_of,
    in_force,
    keys_in,
    read_keys,
    read_state,
    state_of,
    with_keys,
    write_keys,
)
from runtime.secretkeys.rotate import Rotation
from runtime.tokens import ensure_tokens
from tests.support.nodes import NOW, FewKeys, ensure_pki, node_config

OLD, NEW = SecretKey(name="aescbckey", octets=b"o" * 32), SecretKey(name="aescbckey-2", octets=b"n" * 32)


def test_the_first_start_and_a_rotation_write_the_same_form() -> None:
    first = encryption_config(OLD.octets)
    assert write_keys((OLD,)) == first and read_keys(first, where="t") == (OLD,)
    assert state_of(first, "start") == encryption_state(first)


def test_the_writing_key_comes_first_and_keys_do_not_show_in_logs() -> None:
    assert read_keys(write_keys((NEW, OLD)), where="t") == (NEW, OLD)
    assert "nnnn" not in repr(NEW)
    assert read_state(state_of(b"x", "reencrypt_finished"))[0] == "reencrypt_finished"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        write_keys(()),
        write_keys((OLD, OLD)),
        write_keys((SecretKey(name="x", octets=b"short"),)),
        json.dumps({"resources": [{"providers": [{"secretbox": {"keys": []}}]}]}).encode(),
    ],
)
def test_what_could_lose_secrets_is_not_rotated(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_keys(data, where="t")


def test_what_an_apiserver_has_read_is_known_by_the_digest_in_its_metrics() -> None:
    name = "apiserver_encryption_config_controller_last_config_info"
    row = f'{name}{{apiserver_id_hash="sha256:{"a" * 64}",hash="sha256:{"b" * 64}"}} 1'
    assert in_force(f"# HELP {name} x\n{row}\nother 1") == "b" * 64
    assert in_force(f"# {row}") is None and in_force("") is None and in_force(row.replace("hash=", "hush=")) is None


def test_keys_travel_among_what_servers_share() -> None:
    config = write_keys((NEW, OLD))
    document = with_keys({"ServerCA": {"Content": "x"}}, config, state_of(config, PREPARE), NOW)
    assert keys_in(document, where="t") == (config, state_of(config, PREPARE))
    assert document["ServerCA"] == {"Content": "x"}
    assert document["EncryptionHash"]["Timestamp"] == "2026-03-01T12:00:00Z"
    with pytest.raises(FormatError, match="no encryption configuration"):
        keys_in({"EncryptionConfig": {"Content": "!"}}, where="t")


@dataclass
class Cluster:
    """Servers by name -> the digest each apiserver has read; etcd with one document. `slow` servers never read."""

    servers: dict[str, str | None]
    document: dict[str, Any]
    slow: frozenset[str] = frozenset()
    history: list[tuple[list[str], str]] = field(default_factory=list)
    written: int = 0

    async def read(self, member: Member) -> str | None:
        config, _ = keys_in(self.document, where="t")
        if self.servers[member.node] is not None and member.node not in self.slow:
            self.servers[member.node] = digest_of(config)
        return self.servers[member.node]

    async def replace(self, before: Sealed, document: Mapping[str, Any]) -> bool:
        if before.document != self.document:
            return False
        self.document = dict(document)
        config, state = keys_in(document, where="t")
        self.history.append(([key.name for key in read_keys(config, where="t")], read_state(state)[0]))
        return True

    async def rewrite(self, url: str, admin: Identity) -> int:
        """All servers must write with the same key at this moment."""
        config, state = keys_in(self.document, where="t")
        assert set(self.servers.values()) == {digest_of(config)} and read_state(state)[0] == ROTATE
        self.written += 1
        return 7


def rotation(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rotation:
    """A rotation whose etcd and apiservers are `cluster`."""

    class Gate:
        async def members(self) -> tuple[Member, ...]:
            return tuple(Member(id=n, name=f"{n}-0a", peer_urls=(f"https://{n}:2380",)) for n in cluster.servers)

    class Shared:
        async def sealed(self) -> bytes:
            return b"sealed"

        async def open(self, sealed: bytes) -> Sealed:
            return Sealed(sealed, cluster.document)

        replace = staticmethod(cluster.replace)

    async def shared(self: Rotation) -> Shared:
        return Shared()

    async def read(self: Rotation, member: Member) -> str | None:
        return await cluster.read(member)

    monkeypatch.setattr(Rotation, "_shared", shared)
    monkeypatch.setattr(Rotation, "_digest", read)
    monkeypatch.setattr("runtime.secretkeys.rotate.rewrite", cluster.rewrite)
    monkeypatch.setattr("runtime.secretkeys.rotate._EVERY", 0.01)
    return Rotation(
        node=node_config(tmp_path),
        admin=Identity(),
        gateway=Gate(),  # type: ignore[arg-type]
        entropy=SystemEntropy(),
        now=NOW,
        say=lambda line: None,
        patience=0.1,
    )


def cluster_of(*names: str, config: bytes = b"", stage: str = "start", slow: Iterable[str] = ()) -> Cluster:
    config = config or write_keys((OLD,))
    document = with_keys({}, config, state_of(config, stage), NOW)
    return Cluster(dict.fromkeys(names, digest_of(config)), document, frozenset(slow))


def test_no_server_writes_with_a_key_that_another_cannot_read_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = cluster_of("m1", "m2", "m3")
    assert asyncio.run(rotation(cluster, tmp_path, monkeypatch).run()) == 7
    new = "aescbckey-2026-03-01T12:00:00Z"
    assert cluster.history == [(["aescbckey", new], PREPARE), ([new, "aescbckey"], ROTATE), ([new], FINISHED)]


def test_a_server_that_reads_nothing_stops_a_rotation_by_its_name_and_it_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = cluster_of("m1", "m2", slow=["m2"])
    with pytest.raises(SealiftError, match="servers have not read the new keys: m2") as caught:
        asyncio.run(rotation(cluster, tmp_path, monkeypatch).run())
    assert "run it again" in caught.value.hint
    assert [stage for _, stage in cluster.history] == [PREPARE] and not cluster.written
    cluster.slow = frozenset()
    assert asyncio.run(rotation(cluster, tmp_path, monkeypatch).run()) == 7
    assert [stage for _, stage in cluster.history] == [PREPARE, ROTATE, FINISHED]


def test_a_rotation_does_not_begin_while_a_server_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = cluster_of("m1", "m2")
    cluster.servers["m2"] = None
    with pytest.raises(SealiftError, match="servers do not answer: m2"):
        asyncio.run(rotation(cluster, tmp_path, monkeypatch).run())
    assert cluster.history == []


def test_steps_are_refused_in_another_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = rotation(cluster_of("m1"), tmp_path, monkeypatch)
    for step, words in ((work.rotate, "no key was prepared"), (work.reencrypt, "no key has been rotated")):
        with pytest.raises(UsageError, match=words):
            asyncio.run(step())
    asyncio.run(work.prepare())
    with pytest.raises(UsageError, match="a rotation has begun"):
        asyncio.run(work.prepare())


def test_a_server_takes_the_keys_of_the_cluster_and_nothing_that_is_none(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    ensure_pki(node)
    write_server_files(node, entropy=FewKeys())
    secret = ensure_tokens(node, authority=(node.paths.tls / "server-ca.crt").read_bytes(), entropy=FewKeys()).server
    config = write_keys((NEW, OLD))
    before = node.paths.encryption_config.read_bytes()
    etcd = Store()
    adoption = Adoption(node, etcd, SystemEntropy())  # type: ignore[arg-type]
    assert asyncio.run(adoption.look()) == "" and adoption.missing
    etcd.seal(secret, {"EncryptionConfig": {"Content": "bm90aGluZw=="}, "EncryptionHash": {"Content": "eA=="}})
    with pytest.raises(FormatError):
        asyncio.run(adoption.look())
    assert node.paths.encryption_config.read_bytes() == before and asyncio.run(adoption.look()) == ""
    etcd.seal(secret, with_keys({}, config, state_of(config, ROTATE), NOW))
    assert asyncio.run(adoption.look()) == NEW.name and not adoption.missing
    assert node.paths.encryption_config.read_bytes() == config
    assert node.paths.encryption_config.stat().st_mode & 0o777 == 0o600
    assert node.paths.encryption_state.read_bytes() == state_of(config, ROTATE)


@dataclass
class Store:
    """etcd with one key."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def seal(self, secret: str, document: dict[str, Any]) -> None:
        sealed = sharedkeys.seal(secret, document, salt=os.urandom(16), nonce=os.urandom(12))
        self.kept[sharedkeys.key_name(secret)] = sealed

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)
