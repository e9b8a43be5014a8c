"""Real small and read-only filesystems: clear errors, and nothing half done. Mounting needs root."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.errors import SealiftError
from tests.support.nodedirs import TestNode, seen
from tests.support.releases import FIRST, program, release
from tests.support.sealed import make_archive

REFERENCE = f"docker.io/rancher/rke2-runtime:{FIRST}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 3 MiB."""
    target = tmp_path / "disk"
    target.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", target], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a filesystem here")
    try:
        yield target
    finally:
        subprocess.run(["umount", target], check=True)


def put_image(node: TestNode) -> None:
    node.layout.images.mkdir(parents=True)
    make_archive(node.layout.images / "a.tar", {REFERENCE: {"bin/kubelet": program(os.urandom(2 << 20))}})


def test_a_disk_that_is_full_while_unpacking_is_said_and_given_back(small_disk: Path) -> None:
    node = TestNode(small_disk)
    put_image(node)
    before = {name for name in seen(node.layout.data) if not name.startswith("sealift")}
    with pytest.raises(SealiftError, match="No space left") as caught:
        node.extract()
    assert "free some space" in caught.value.hint
    after = {name for name in seen(node.layout.data) if not name.startswith("sealift")}
    assert after - before == {"data"}
    assert list(node.layout.versions.iterdir()) == []


def test_a_disk_without_space_for_the_bundle_is_said_before_copying(small_disk: Path, tmp_path: Path) -> None:
    node = TestNode(small_disk)
    with pytest.raises(SealiftError, match="not enough space"):
        node.stage(release(tmp_path / "usb"))
    assert list(node.layout.bundles.iterdir()) == []


def test_a_read_only_filesystem_is_said(small_disk: Path, tmp_path: Path) -> None:
    node = TestNode(small_disk)
    put_image(node)
    assert node.shims.is_dir()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for act in (lambda: node.extract(), lambda: node.stage(release(tmp_path / "usb"))):
        with pytest.raises(SealiftError, match="Read-only") as caught:
            act()
        assert str(small_disk) in caught.value.where


def test_images_on_another_filesystem_are_refused_before_copying(small_disk: Path, tmp_path: Path) -> None:
    node = TestNode(tmp_path / "node")
    node.layout.images.parent.mkdir(parents=True)
    node.layout.images.symlink_to(small_disk)
    with pytest.raises(SealiftError, match="another filesystem"):
        node.stage(release(tmp_path / "usb"))
    assert list(node.layout.bundles.iterdir()) == []
