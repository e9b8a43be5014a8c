"""skopeo and podman (Debian's) read our archives, keep our digests, and find the same files in them."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles import index

pytestmark = pytest.mark.real


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


@pytest.fixture(params=["rke2_bundle", "hello_bundle"])
def bundle(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def test_skopeo_reads_it_as_an_oci_archive_and_keeps_the_digest(bundle: Path, tmp_path: Path) -> None:
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    archive = bundle / document.archives[0].path
    run("skopeo", "copy", "--insecure-policy", "-q", f"oci-archive:{archive}", f"oci:{tmp_path}/copy:x")
    copied = json.loads((tmp_path / "copy/index.json").read_text())["manifests"][0]["digest"]
    assert copied == str(document.runtime.digest)


def test_skopeo_reads_it_as_a_docker_archive(bundle: Path) -> None:
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    for archive in document.archives:
        for reference in archive.images:
            said = json.loads(
                run("skopeo", "inspect", "--config", f"docker-archive:{bundle / archive.path}:{reference}")
            )
            assert (said["os"], said["architecture"]) == ("linux", "amd64")


@pytest.fixture
def podman() -> Iterator[list[str]]:
    """podman with a storage of its own; it wants a runroot of at most 50 characters."""
    home = tempfile.mkdtemp(prefix="podman-")
    command = ["podman", "--root", f"{home}/root", "--runroot", f"{home}/run", "--storage-driver", "vfs"]
    yield command
    subprocess.run([*command, "rmi", "-af"], capture_output=True)
    shutil.rmtree(home, ignore_errors=True)


def test_podman_loads_it_under_its_name_and_holds_our_files(bundle: Path, podman: list[str]) -> None:
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    run(*podman, "load", "-q", "-i", bundle / "images/rke2-runtime.linux-amd64.tar")
    reference = document.runtime.reference
    listed = json.loads(run(*podman, "image", "inspect", reference))[0]
    assert listed["Digest"] == str(document.runtime.digest)
    mounted = Path(run(*podman, "image", "mount", reference).strip())
    try:
        charts = sorted(path.name for path in (mounted / "charts").iterdir())
        assert charts == sorted(f"{chart.name}.yaml" for chart in document.charts)
        assert all(hashlib.sha256(path.read_bytes()).digest() for path in (mounted / "bin").iterdir())
    finally:
        run(*podman, "image", "umount", reference)
