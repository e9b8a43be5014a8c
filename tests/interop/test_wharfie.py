"""RKE2's own reader finds, extracts, and (unlike with its own archives) notices damage in what we write."""

import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from bundles import index
from bundles.inspect import inspect
from tests.support.damage import flip
from tests.support.node import Node, extracted_node, sealift

pytestmark = pytest.mark.real
FLIPS = 40
RUNTIME = "images/rke2-runtime.linux-amd64.tar"


def read_as_rke2(wharfie: Path, images: Path, reference: str, target: Path) -> subprocess.CompletedProcess[str]:
    command = [str(wharfie), str(images), reference, str(target / "bin"), str(target / "charts")]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def node(rke2_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Node:
    return extracted_node(rke2_bundle, tmp_path_factory.mktemp("node"))


def test_rke2_finds_and_extracts_the_same_files_as_we_do(
    wharfie: Path, node: Node, rke2_bundle: Path, tmp_path: Path
) -> None:
    document = index.decode((rke2_bundle / index.INDEX_NAME).read_bytes())
    done = read_as_rke2(wharfie, node.data / "agent/images", document.runtime.reference, tmp_path)
    assert done.returncode == 0, done.stderr
    (image,) = inspect(rke2_bundle / RUNTIME)["images"]
    assert image["digest"] == str(document.runtime.digest) and image["config"] == done.stdout.strip()
    assert hashes(tmp_path / "bin") == hashes(node.bin) != {}
    assert hashes(tmp_path / "charts") == hashes(node.charts) != {}
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "bin").iterdir()}
    assert modes == {path.name: path.stat().st_mode & 0o7777 for path in node.bin.iterdir()}


def test_rke2_finds_it_under_each_spelling_of_its_name(wharfie: Path, hello_bundle: Path, tmp_path: Path) -> None:
    document = index.decode((hello_bundle / index.INDEX_NAME).read_bytes())
    name = document.runtime.reference.removeprefix("docker.io/")
    for number, reference in enumerate((name, f"docker.io/{name}", f"index.docker.io/{name}")):
        target = tmp_path / str(number)
        assert read_as_rke2(wharfie, hello_bundle / "images", reference, target).returncode == 0


def test_flipped_bits_are_noticed_by_rke2_and_by_verify(wharfie: Path, rke2_bundle: Path, tmp_path: Path) -> None:
    """Any bit of the whole archive, chosen with a fixed seed: RKE2's own layouts are noticed in 0 of 24 cases."""
    document = index.decode((rke2_bundle / index.INDEX_NAME).read_bytes())
    images = tmp_path / "images"
    images.mkdir()
    archive = images / "rke2-runtime.linux-amd64.tar"
    shutil.copyfile(rke2_bundle / RUNTIME, archive)
    size = archive.stat().st_size
    chosen = random.Random(20260211)
    noticed_by_rke2 = noticed_by_us = 0
    for number in range(FLIPS):
        offset, bit = chosen.randrange(size), 1 << chosen.randrange(8)
        flip(archive, offset, bit)
        target = tmp_path / f"node-{number}"
        noticed_by_rke2 += read_as_rke2(wharfie, images, document.runtime.reference, target).returncode != 0
        noticed_by_us += sealift("verify", archive, check=False).returncode == 1
        flip(archive, offset, bit)
        shutil.rmtree(target, ignore_errors=True)
    assert noticed_by_us == FLIPS
    assert noticed_by_rke2 >= FLIPS - 2
    assert sealift("verify", archive).returncode == 0
