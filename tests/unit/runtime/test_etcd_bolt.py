"""etcd's database file: what is emptied for a new cluster, and that no bytes make the reader stumble."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles.errors import SealiftError, TrustError
from runtime.etcd import sharedkeys
from runtime.etcd.bolt import Database, make_new, member_names
from tests.support.gateways import database, key_value

SECRET = "a-secret"


@contextmanager
def opened(path: Path, data: bytes) -> Iterator[Database]:
    path.write_bytes(data)
    fd = os.open(path, os.O_RDWR)
    try:
        yield Database(fd, path)
    finally:
        os.close(fd)


def test_the_newer_of_the_two_meta_pages_counts(tmp_path: Path) -> None:
    with opened(tmp_path / "db", database()) as found:
        assert (found.root, found.page_size, found.size) == (2, 4096, 4 * 4096)
        assert member_names(found) == ("31b070aac5f22e62", "628170c800dbcee")


def test_a_new_cluster_has_no_members_of_the_old_one_and_counts_from_nothing(tmp_path: Path) -> None:
    keys = {b"\0" * 8 + b"_" + b"\0" * 8: key_value(b"/registry/x", b"y")}
    with opened(tmp_path / "db", database(keys)) as found:
        make_new(found)
        assert member_names(found) == ()
        buckets = found.buckets()
        assert found.values(buckets[b"members_removed"]) == {}
        counters = {name: value for name, (_, value) in found.values(buckets[b"meta"]).items()}
        assert counters == {b"consistent_index": bytes(8), b"term": bytes(8), b"confState": b"{}"}
        assert [(pair.key, pair.value) for pair in sharedkeys.pairs(found)] == [(b"/registry/x", b"y")]
    assert (tmp_path / "db").stat().st_size == 4 * 4096


def test_the_clusters_keys_are_found_in_a_snapshot_by_its_token_and_by_no_other(tmp_path: Path) -> None:
    old, new = (sharedkeys.seal(SECRET, {"x": n}, salt=b"s" * 8, nonce=b"n" * 12) for n in (1, 2))
    name = sharedkeys.key_name(SECRET).encode()
    keys = {bytes([n]) * 17: key_value(name, value) for n, value in enumerate((old, new))}
    with opened(tmp_path / "db", database(keys)) as found:
        sealed = sharedkeys.find(found, SECRET)
        assert sealed == new and sharedkeys.unseal(SECRET, new) == {"x": 2}
        assert sharedkeys.find(found, "another") is None
        with pytest.raises(TrustError, match="does not open"):
            sharedkeys.unseal("another", new)
    assert SECRET.encode() not in new and b'"x"' not in new


def test_keys_that_were_deleted_are_not_found(tmp_path: Path) -> None:
    name = sharedkeys.key_name(SECRET).encode()
    keys = {b"1" * 17: key_value(name, b"x"), b"2" * 17 + b"t": key_value(name, b"")}
    with opened(tmp_path / "db", database(keys)) as found:
        assert sharedkeys.find(found, SECRET) is None


@given(data=st.data())
def test_damaged_bytes_are_refused_or_read_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(database({b"1" * 17: key_value(b"k", b"v")}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    path = tmp_path_factory.mktemp("bolt") / "db"
    try:
        with opened(path, bytes(whole[:cut] if data.draw(st.booleans()) else whole)) as found:
            list(sharedkeys.pairs(found))
            make_new(found)
    except SealiftError:
        pass


def test_whoever_finds_a_snapshot_pays_for_every_guess_of_the_token() -> None:
    assert sharedkeys.key_name(SECRET) == sharedkeys.key_name(SECRET) != sharedkeys.key_name("another")
    plain = hashlib.sha256(SECRET.encode()).hexdigest()
    assert plain[:8] not in sharedkeys.key_name(SECRET), "not by a hash that is cheap"
    sealed = sharedkeys.seal(SECRET, {"x": 1}, salt=b"s" * 16, nonce=b"n" * 12)
    assert sharedkeys.unseal(SECRET, sealed) == {"x": 1}
    for damaged in (b"", b":", b"zz:AAAA", sealed[:40], sealed.replace(b":", b"")):
        with pytest.raises(SealiftError):
            sharedkeys.unseal(SECRET, damaged)
