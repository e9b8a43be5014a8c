"""A server's read-only registry for those who are no agents: `sealift pull` reads a bundle and its images from it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import index
from bundles.digest import Digest
from bundles.errors import MissingError, SealiftError
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.credentials import Credentials
from bundles.registry.memory import in_memory
from bundles.registry.mirrors import parse_mirrors
from bundles.registry.place import Place, Repository
from bundles.registry.pull import Pulled, pull_bundle
from bundles.registry.session import no_check
from bundles.registry.timing import real_timing
from bundles.registry.wire import Wire
from bundles.signing import names
from bundles.talk import SilentProgress
from runtime.supervisor.catalogue import ADMITTED_TAG, REPOSITORY
from tests.support.bundles import make_bundle, tree
from tests.support.nodedirs import TestNode
from tests.support.supervisors import AGENT_SECRET, Site

Work = Callable[[HttpRegistry, str], Any]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_bundle(tmp_path_factory.mktemp("usb"), big=3 << 20)
    for name in names.index_signatures(None):
        (made / name).write_text(f"signature {name}")
    return made


def at_a_server(tmp_path: Path, bundle: Path, work: Work, secret: str = AGENT_SECRET) -> Any:
    """What `work` gives with our client and the server's HOST:PORT."""
    node = TestNode(tmp_path / "node")
    node.stage(bundle)
    site = Site(tmp_path, layout=node.layout)
    settings = Settings(
        ways=parse_mirrors([], plain=False),
        wire=Wire(ca_files=(tmp_path / "server-ca.crt",)),
        keys=lambda repository: Credentials(user="node", password=secret),
    )

    async def run() -> Any:
        async with site.open():
            registry = HttpRegistry(settings, real_timing())
            try:
                return await asyncio.to_thread(work, registry, f"127.0.0.1:{site.port}")
            finally:
                registry.close()

    return asyncio.run(run())


def pull(tmp_path: Path, registry: HttpRegistry, host: str) -> Pulled:
    place = Place(repository=Repository(host=host, path=REPOSITORY), tag=ADMITTED_TAG)
    return pull_bundle(registry, place, tmp_path / "out", SilentProgress())


def test_sealift_pull_reads_a_server_s_bundle_byte_for_byte_with_its_signatures(tmp_path: Path, bundle: Path) -> None:
    pulled = at_a_server(tmp_path, bundle, lambda registry, host: pull(tmp_path, registry, host))
    assert tree(pulled.folder) == tree(bundle) and pulled.folder.name == bundle.name
    assert set(pulled.signatures) == set(names.index_signatures(None))


def test_who_has_no_secret_gets_nothing(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(SealiftError, match="who asks") as caught:
        at_a_server(tmp_path, bundle, lambda registry, host: pull(tmp_path, registry, host), secret="a-wrong-guess")
    assert "a-wrong-guess" not in str(caught.value)


def test_its_images_follow_the_pull_workflow_of_the_distribution_specification(tmp_path: Path, bundle: Path) -> None:
    """Of conformance/01_pull: manifests and blobs by HEAD and GET, by tag and digest, 404 for what is not there."""
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())

    def work(registry: HttpRegistry, host: str) -> None:
        for image in document.images:
            name, _, tag = image.reference.removeprefix("docker.io/").rpartition(":")
            place = Repository(host=host, path=name)
            by_tag = registry.manifest(place, tag, no_check)
            assert by_tag.digest == image.digest
            assert registry.manifest(place, str(image.digest), no_check) == by_tag
            assert registry.has_manifest(place, tag, no_check) == image.digest
            assert registry.has_manifest(place, "no-such-tag", no_check) is None
            assert registry.referrers(place, image.digest, no_check) == []
            with pytest.raises(MissingError):
                registry.manifest(place, "no-such-tag", no_check)
            archive = next(one for one in document.archives if one.path == image.archive)
            for blob in archive.blobs:
                assert registry.has_blob(place, blob.digest, no_check)
                assert Digest.of(in_memory(registry, place, blob.digest, blob.size)) == blob.digest
            assert not registry.has_blob(place, Digest.of(b"nothing"), no_check)

    at_a_server(tmp_path, bundle, work)
