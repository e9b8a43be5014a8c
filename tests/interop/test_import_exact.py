"""The real containerd gets no image of an archive that was changed after its check, also when the tar ends early."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundles import ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from runtime.daemon.ctr import Ctr
from tests.support.containerd import Containerd
from tests.support.sealed import make_archive

IMAGE = "docker.io/rancher/mirrored-app:v1"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    """Debian's, with the same importer in its `ctr`."""
    with Containerd("/usr/sbin:/usr/bin:/sbin:/bin", tmp_path_factory.mktemp("containerd")) as daemon:
        yield daemon


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "app.tar"
    make_archive(path, {IMAGE: {"bin/app": b"program" * 1000}})
    return path


def imported(daemon: Containerd, archive: Path, sha256: Digest | None) -> list[str]:
    ctr = Ctr(daemon.socket, {"PATH": daemon.path})
    try:
        asyncio.run(ctr.import_archive(archive, sha256))
    finally:
        names = [image.name for image in asyncio.run(ctr.images())]
    return names


def renamed(data: bytes) -> bytes:
    return data.replace(b"mirrored-app:v1", b"mirrored-evl:v1")


def early_end(data: bytes) -> bytes:
    """All members once, the end, and then what fills the size: a reader of tar is content after the end."""
    evil = renamed(data)
    at = 0
    while any(evil[at : at + 512]):
        header = ustar.parse(evil[at : at + 512])
        at += 512 + header.size + ustar.padding(header.size)
    last = max(i for i in range(0, at, 512) if evil[i : i + 12] == b"blobs/sha256")
    return evil[:at] + evil[at : at + 1024] + evil[last:at] + bytes(1024)


@pytest.mark.parametrize("change", [renamed, early_end])
def test_a_changed_archive_makes_no_image_in_containerd(
    daemon: Containerd, archive: Path, change: Callable[[bytes], bytes]
) -> None:
    sha256 = Digest.of(archive.read_bytes())
    archive.write_bytes(change(archive.read_bytes()))
    with pytest.raises(FormatError, match="changed after it was checked"):
        imported(daemon, archive, sha256)
    ctr = Ctr(daemon.socket, {"PATH": daemon.path})
    assert asyncio.run(ctr.images()) == ()
    evil = IMAGE.replace("app", "evl")
    assert evil in imported(daemon, archive, None), "it would have come in, had nobody looked"
    daemon.ctr("-n", "k8s.io", "images", "rm", "--sync", *(image.name for image in asyncio.run(ctr.images())))


def test_the_admitted_archive_comes_in(daemon: Containerd, archive: Path) -> None:
    assert imported(daemon, archive, Digest.of(archive.read_bytes()))[:1] == [IMAGE]
