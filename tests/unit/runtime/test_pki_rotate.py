"""Certificates on demand: what is listed, what is replaced, and that authorities stay."""

from datetime import timedelta
from pathlib import Path

import pytest

from bundles.errors import UsageError
from runtime.pki import rotate
from tests.support.nodes import NOW, ensure_pki, node_config


def test_every_certificate_that_a_start_makes_belongs_to_a_service(tmp_path: Path) -> None:
    for role in ("server", "agent"):
        flags = () if role == "server" else (("server", "https://192.0.2.1:9345"),)
        node = node_config(tmp_path, *flags, role=role)
        assert set(rotate.stems(node)) == rotate.planned(node)


def test_a_rotation_makes_new_keys_and_keeps_authorities_and_what_was_there(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    ensure_pki(node)
    before = {path: path.read_bytes() for path in node.paths.data.rglob("*.*") if path.suffix in (".crt", ".key")}
    folder, moved = rotate.set_aside(node, (), 1_800_000_000)
    assert len(moved) == 2 * len(rotate.planned(node))
    assert all((folder / path.relative_to(node.paths.data)).read_bytes() == before[path] for path in moved)
    ensure_pki(node)
    after = {path: path.read_bytes() for path in before}
    assert {path for path in before if before[path] != after[path]} == set(moved)
    assert all("ca." not in path.name and "service" not in path.name for path in moved)


def test_only_the_named_services_are_replaced(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    ensure_pki(node)
    _, moved = rotate.set_aside(node, ("etcd", "kubelet"), 1_800_000_000)
    assert {path.stem for path in moved} == {
        "client",
        "server-client",
        "peer-server-client",
        "client-kubelet",
        "serving-kubelet",
    }
    with pytest.raises(UsageError, match="no such service"):
        rotate.set_aside(node, ("etc",), 1_800_000_001)


def test_the_list_says_what_ends_when(tmp_path: Path) -> None:
    node = node_config(tmp_path)
    ensure_pki(node)
    found = rotate.check(node, NOW)
    assert {each.state for each in found} == {"ok"} and len(found) == 5 + len(rotate.planned(node))
    later = {each.service: each.state for each in rotate.check(node, NOW + timedelta(days=300))}
    assert later["etcd"] == "renewed at the next start" and later["authority"] == "ok"
    last = {each.service: each.state for each in rotate.check(node, NOW + timedelta(days=400))}
    assert last["kubelet"] == "ended"
