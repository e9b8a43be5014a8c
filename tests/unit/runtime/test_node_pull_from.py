"""`sealift-node pull --from`: a bundle of a site's registry, through the node's gate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles import index
from bundles.registry.place import Repository
from bundles.registry.push import push_bundle
from bundles.source import open_source
from bundles.talk import SilentProgress
from runtime import admitted
from runtime.trusting import audit
from runtime.trusting.places import TrustPlaces
from tests.support import trusting
from tests.support.bundles import tree
from tests.support.fakeregistry import Clock, FakeRegistry, Fault, client, fake_registry
from tests.support.registrypush import opened
from tests.support.trusting import Site, public, site

__all__ = ["site"]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


def push(registry: FakeRegistry, bundle: Path) -> str:
    with client(Clock()) as ours, open_source(bundle) as source, opened(source) as pushed:
        push_bundle(pushed, ours, Repository(host=registry.host, path="site/rke2"), "v1", SilentProgress())
    registry.seen.clear()
    return f"{registry.host}/site/rke2:v1"


def test_a_signed_bundle_is_pulled_and_admitted_as_a_staged_one(
    site: Site, registry: FakeRegistry, tmp_path: Path
) -> None:
    bundle = trusting.bundle(tmp_path / "usb", "release")
    code, out, err = site.run("pull", "--from", push(registry, bundle), "--key", public(tmp_path, "release"))
    assert code == 0, err
    record = admitted.read(site.layout.admitted)
    assert record is not None and record.decided is not None and record.decided.trust == "key"
    assert tree(Path(out.strip())) == tree(bundle) and not site.layout.pulled.exists()
    (entry,) = audit.read(TrustPlaces.of(site.layout).audit)
    assert (entry.event, entry.result) == ("pull", "admitted")


def test_nobody_s_bundle_is_refused_before_an_archive_is_fetched(
    site: Site, registry: FakeRegistry, tmp_path: Path
) -> None:
    bundle = trusting.bundle(tmp_path / "usb", "other")
    place = push(registry, bundle)
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    layers = {str(blob.digest) for archive in document.archives for blob in archive.blobs}
    assert site.run("pull", "--from", place)[0] == 3
    assert not registry.seen  # nobody said whom to trust
    assert site.run("pull", "--from", place, "--key", public(tmp_path, "release"))[0] == 3
    assert not any(path.rpartition("/")[2] in layers for path in registry.paths())
    assert admitted.read(site.layout.admitted) is None


def test_the_policy_in_force_decides_alone(site: Site, registry: FakeRegistry, tmp_path: Path) -> None:
    assert site.run("policy", "update", trusting.write_policy(tmp_path / "policy"))[0] == 0
    place = push(registry, trusting.bundle(tmp_path / "usb", "other"))
    assert site.run("pull", "--from", place)[0] == 3
    assert site.run("pull", "--from", place, "--insecure-no-signature")[0] == 3


def test_a_fetch_that_was_cut_goes_on(site: Site, registry: FakeRegistry, tmp_path: Path) -> None:
    bundle = trusting.bundle(tmp_path / "usb")
    place = push(registry, bundle)
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    last = str(max(document.archives[-1].blobs, key=lambda blob: blob.offset).digest)
    registry.faults = lambda seen, number: Fault(status=403) if seen.path.endswith(last) else None
    assert site.run("pull", "--from", place, "--insecure-no-signature")[0] == 1
    assert list(site.layout.pulled.rglob("*.part"))
    registry.faults = lambda seen, number: None
    code, out, err = site.run("pull", "--from", place, "--insecure-no-signature")
    assert code == 0, err
    assert tree(Path(out.strip())) == tree(bundle)


def test_either_a_server_or_a_registry(site: Site, tmp_path: Path) -> None:
    for words in ([], ["--server", "https://x:9345"], ["--from", "a.b/c:t", "--server", "https://x:9345"]):
        assert site.run("pull", *words)[0] == 2
    token = tmp_path / "token"
    token.write_text("x")
    words = ["--server", "https://x:9345", "--token-file", str(token), "--insecure-no-signature"]
    assert site.run("pull", *words)[0] == 2
