"""containerd reads our archives: import with our digests, unpack, run. The one we built, and Debian's."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles import index
from tests.support.containerd import Containerd
from tests.support.node import Node, extracted_node

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def node(rke2_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Node:
    return extracted_node(rke2_bundle, tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module", params=["built", "debian"])
def daemon(
    request: pytest.FixtureRequest, node: Node, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Containerd]:
    path = str(node.bin) if request.param == "built" else "/usr/sbin:/usr/bin:/sbin:/bin"
    with Containerd(path, tmp_path_factory.mktemp("containerd")) as daemon:
        yield daemon


def test_every_archive_is_imported_under_our_names_and_digests(daemon: Containerd, rke2_bundle: Path) -> None:
    document = index.decode((rke2_bundle / index.INDEX_NAME).read_bytes())
    for archive in document.archives:
        daemon.ctr("images", "import", "--no-unpack", str(rke2_bundle / archive.path), check=True)
    listed = daemon.ctr("images", "ls").stdout
    rows = {line.split()[0]: line.split()[2] for line in listed.splitlines()[1:]}
    assert {image.reference: str(image.digest) for image in document.images} == {
        name: digest for name, digest in rows.items() if "@" not in name
    }


def test_a_container_runs_from_the_imported_runtime_and_its_files_are_ours(
    daemon: Containerd, rke2_bundle: Path, node: Node
) -> None:
    document = index.decode((rke2_bundle / index.INDEX_NAME).read_bytes())
    daemon.ctr("images", "import", str(rke2_bundle / "images/rke2-runtime.linux-amd64.tar"))
    reference = document.runtime.reference
    said = daemon.ctr("run", "--rm", reference, "says-version", "/bin/crictl", "--version").stdout
    assert "v1.34" in said
    # socat inside the container prints a file of the unpacked image, byte for byte.
    relayed = daemon.ctr("run", "--rm", reference, "reads-file", "/bin/socat", "-u", "/charts/rke2-coredns.yaml", "-")
    assert relayed.stdout == (node.charts / "rke2-coredns.yaml").read_text()


def test_the_manifest_in_the_store_is_the_manifest_in_the_archive(daemon: Containerd, rke2_bundle: Path) -> None:
    document = index.decode((rke2_bundle / index.INDEX_NAME).read_bytes())
    daemon.ctr("images", "import", "--no-unpack", str(rke2_bundle / "images/rke2-runtime.linux-amd64.tar"))
    manifest = daemon.ctr("content", "get", str(document.runtime.digest)).stdout
    assert hashlib.sha256(manifest.encode()).hexdigest() == document.runtime.digest.hex
    assert json.loads(manifest)["layers"][0]["mediaType"].endswith("tar+zstd")
