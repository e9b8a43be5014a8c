"""What a registry calls an image, containerd calls it after the gap: the same digests, down to each layer."""

import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles import oci
from bundles.digest import Digest
from tests.support.containerd import Containerd
from tests.support.node import sealift
from tests.support.published import layer, push, push_index, taking_recipe
from tests.support.registry import Registry, running_registry

pytestmark = pytest.mark.real
ACCEPT = ", ".join((oci.MANIFEST, oci.INDEX, oci.DOCKER_MANIFEST, oci.DOCKER_INDEX))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    with Containerd("/usr/sbin:/usr/bin:/sbin:/bin", tmp_path_factory.mktemp("containerd")) as daemon:
        yield daemon


def told(registry: Registry, repository: str) -> str:
    """The digest that the registry itself says of a tag, whatever it is."""
    url = f"http://{registry.host}/v2/{repository}/manifests/v1"
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD", headers={"Accept": ACCEPT})) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def test_after_the_import_every_digest_is_the_registry_s(
    registry: Registry, daemon: Containerd, tmp_path: Path
) -> None:
    layers = [layer({f"f{kind[-4:]}": os.urandom(5000)}, kind) for kind in (oci.LAYER_GZIP, oci.LAYER_ZSTD)]
    push(registry, "up/oci", "v1", layers)
    push(registry, "up/docker", "v1", [layers[0]], docker=True)
    both = [push(registry, "up/many", None, [layers[1]], architecture=name) for name in ("arm64", "amd64")]
    push_index(registry, "up/many", "v1", both)
    push_index(registry, "up/list", "v1", [push(registry, "up/list", None, [layers[0]], docker=True)], docker=True)
    names = ("oci", "docker", "many", "list")
    recipe = taking_recipe(
        tmp_path / "recipe", {name: f"mirror: docker.io/up/{name}:v1\nkeep-index: true" for name in names}
    )
    words = ("--mirror", f"docker.io={registry.host}", "--store", tmp_path / "store")
    sealift("lock", recipe, *words)
    bundle = Path(sealift("build", recipe, "--output", tmp_path / "out", *words).stdout.splitlines()[-1])
    daemon.ctr("images", "import", "--no-unpack", str(bundle / "images/images.linux-amd64.tar"))
    rows = [line.split() for line in daemon.ctr("images", "ls").stdout.splitlines()[1:]]
    found = {row[0]: row[2] for row in rows}
    assert {name: found[f"docker.io/up/{name}:v1"] for name in names} == {
        name: told(registry, f"up/{name}") for name in names
    }
    content = daemon.ctr("content", "ls", "-q").stdout.split()
    for each in layers:
        assert str(Digest.of(each.data)) in content
    assert str(both[1].digest) in content and str(both[0].digest) not in content
