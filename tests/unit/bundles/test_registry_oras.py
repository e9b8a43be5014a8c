"""oras's Python library with our client behind it: what it lacks by itself, promise by promise."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError, UsageError
from bundles.registry.client import Settings
from bundles.registry.credentials import Credentials
from bundles.registry.opened import opened_bundle
from bundles.registry.orasclient import VerifiedRegistry
from bundles.registry.place import Repository
from bundles.registry.push import push_bundle
from bundles.source import open_source
from bundles.talk import SilentProgress
from tests.support.bundles import add_documents, make_bundle
from tests.support.fakeregistry import Clock, FakeRegistry, Fault, Seen, Tokens, client, fake_registry

KEYS = Credentials(user="u", password="s3cr3t-word")


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


@pytest.fixture
def ours() -> Iterator[VerifiedRegistry]:
    made = VerifiedRegistry(Settings(keys=lambda repository: KEYS), Clock().timing)
    yield made
    made.close()


def test_it_pulls_the_files_of_a_bundle_that_sealift_pushed(
    registry: FakeRegistry, ours: VerifiedRegistry, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path)
    add_documents(bundle)
    with client(Clock()) as sealift, open_source(bundle) as source, opened_bundle(source) as opened:
        push_bundle(opened, sealift, Repository(host=registry.host, path="site/rke2"), "v1", SilentProgress())
    got = ours.pull(f"{registry.host}/site/rke2:v1", outdir=str(tmp_path / "got"))
    names = {os.path.relpath(path, tmp_path / "got") for path in got}
    assert {index.INDEX_NAME, "sbom.spdx.json", "provenance.json"} <= names
    for name in names:
        assert (tmp_path / "got" / name).read_bytes() == (bundle / name).read_bytes()
    assert "v1" in ours.get_tags(f"{registry.host}/site/rke2")


def test_what_oras_pushes_it_pulls_again(registry: FakeRegistry, ours: VerifiedRegistry, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(os.urandom(100_000))
    ours.push(f"{registry.host}/a/b:t", files=[str(tmp_path / "file.bin")], disable_path_validation=True, quiet=True)
    (path,) = ours.pull(f"{registry.host}/a/b:t", outdir=str(tmp_path / "got"))
    assert Path(path).read_bytes() == (tmp_path / "file.bin").read_bytes()
    digest = f"sha256:{hashlib.sha256(Path(path).read_bytes()).hexdigest()}"
    name = f"{registry.host}/a/b:t"
    assert ours.get_blob(name, digest).content == Path(path).read_bytes()
    assert ours.get_blob(name, digest, head=True).status_code == 200


@pytest.mark.parametrize("fault", [Fault(flip=True), Fault(longer=b"x")])
def test_wrong_bytes_leave_no_file(
    registry: FakeRegistry, ours: VerifiedRegistry, tmp_path: Path, fault: Fault
) -> None:
    digest = registry.add("a", b"x" * 1000)
    registry.faults = lambda seen, number: fault if seen.method == "GET" else None
    with pytest.raises(FormatError):
        ours.download_blob(f"{registry.host}/a:t", str(digest), str(tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_is_the_one_of_the_digest(registry: FakeRegistry, ours: VerifiedRegistry) -> None:
    kind = "application/vnd.oci.image.manifest.v1+json"
    body = {"schemaVersion": 2, "mediaType": kind, "config": {}, "layers": []}
    digest = registry.add_manifest("a", "t", body)
    assert ours.get_manifest(f"{registry.host}/a@{digest}") == body
    registry.manifests["a", str(digest)] = (kind, json.dumps(body | {"annotations": {"x": "y"}}).encode())
    with pytest.raises(FormatError, match="wrong bytes"):
        ours.get_manifest(f"{registry.host}/a@{digest}")


@pytest.mark.parametrize("title", ["../evil", "/etc/passwd", "a/../../b", ".hidden", "a\x1bb"])
def test_a_file_s_name_cannot_leave_the_folder(
    registry: FakeRegistry, ours: VerifiedRegistry, tmp_path: Path, title: str
) -> None:
    put(registry, title, "application/octet-stream")
    with pytest.raises(FormatError, match="not a path"):
        ours.pull(f"{registry.host}/a:t", outdir=str(tmp_path / "out"))
    assert list(tmp_path.rglob("*")) == []


def test_a_packed_folder_is_not_unpacked(registry: FakeRegistry, ours: VerifiedRegistry, tmp_path: Path) -> None:
    put(registry, "folder", "application/vnd.oci.image.layer.v1.tar+gzip")
    with pytest.raises(FormatError, match="a folder"):
        ours.pull(f"{registry.host}/a:t", outdir=str(tmp_path / "out"))


def test_a_cut_file_is_gone_on_with_and_a_busy_registry_waited_for(
    registry: FakeRegistry, ours: VerifiedRegistry, tmp_path: Path
) -> None:
    digest = registry.add("a", b"x" * 1000)
    turns = iter([Fault(status=429, headers={"Retry-After": "3"}), Fault(cut=400)])
    registry.faults = lambda seen, number: next(turns, None) if seen.method == "GET" else None
    ours.download_blob(f"{registry.host}/a:t", str(digest), str(tmp_path / "file"))
    assert [seen.headers.get("range") for seen in registry.seen if seen.method == "GET"][-1] == "bytes=400-"
    assert (tmp_path / "file").read_bytes() == b"x" * 1000


def test_tokens_are_of_one_repository_and_passwords_of_one_registry(
    registry: FakeRegistry, ours: VerifiedRegistry
) -> None:
    registry.tokens = Tokens(basic="Basic " + base64.b64encode(b"u:s3cr3t-word").decode())
    for name in ("a", "b"):
        digest = registry.add(name, name.encode())
        assert ours.get_blob(f"{registry.host}/{name}:t", str(digest)).content == name.encode()
    with fake_registry() as other:
        digest = other.add("a", b"x")
        ours.get_blob(f"{other.host}/a:t", str(digest))
        assert all("authorization" not in seen.headers for seen in other.seen)


def test_it_keeps_no_passwords(ours: VerifiedRegistry) -> None:
    with pytest.raises(UsageError):
        ours.login("user", "s3cr3t-word")


def test_a_silent_registry_does_not_hold_it_for_ever(registry: FakeRegistry, ours: VerifiedRegistry) -> None:
    def silent(seen: Seen, number: int) -> Fault:
        return Fault(drop=True)

    registry.faults = silent
    with pytest.raises(SealiftError, match="8 times"):
        ours.get_blob(f"{registry.host}/a:t", str(Digest.of(b"x")), head=True)


def put(registry: FakeRegistry, title: str, kind: str) -> None:
    digest, config = registry.add("a", b"data"), registry.add("a", b"{}")
    layer = {
        "mediaType": kind,
        "digest": str(digest),
        "size": 4,
        "annotations": {"org.opencontainers.image.title": title},
    }
    what = "application/vnd.oci.image.manifest.v1+json"
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(config), "size": 2}
    registry.add_manifest("a", "t", {"schemaVersion": 2, "mediaType": what, "config": empty, "layers": [layer]})
