"""`sealift-node extract` takes the runtime image as every tool writes it, plain and compressed: the same files."""

import gzip
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backports import zstd

from bundles import index
from tests.support.dockerd import Dockerd
from tests.support.node import Node, extracted_node, sealift_node

pytestmark = pytest.mark.real
FORMS = ("docker save", "podman save", "podman save oci", "skopeo docker-archive", "skopeo oci-archive")
PACKED: dict[str, Callable[[bytes], bytes]] = {".tar": bytes, ".tar.gz": gzip.compress, ".tar.zst": zstd.compress}


def run(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.fixture(scope="module")
def reference(hello_bundle: Path) -> str:
    return index.decode((hello_bundle / index.INDEX_NAME).read_bytes()).runtime.reference


@pytest.fixture(scope="module")
def ours(hello_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Node:
    return extracted_node(hello_bundle, tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def written(ours: Node, reference: str) -> Iterator[dict[str, Path]]:
    """The same files as an image that each tool keeps and writes in its own way.

    docker makes it from the extracted folder: Debian's skopeo and podman convert no zstd layers to docker's formats.
    """
    home = Path(tempfile.mkdtemp(prefix="tools-"))
    files = {form: home / f"{form.replace(' ', '-')}.tar" for form in FORMS}
    run("tar", "-C", ours.bin.parent, "-cf", home / "files.tar", "bin", "charts")
    with Dockerd() as docker:
        docker("import", home / "files.tar", reference)
        docker("save", "-o", files["docker save"], reference)
    podman = ("podman", "--root", f"{home}/root", "--runroot", f"{home}/run", "--storage-driver", "vfs")
    run(*podman, "load", "-q", "-i", files["docker save"])
    # docker writes names without its domain, which podman takes for local ones.
    run(*podman, "tag", f"localhost/{reference.removeprefix('docker.io/')}", reference)
    run(*podman, "save", "-q", "--format", "docker-archive", "-o", files["podman save"], reference)
    run(*podman, "save", "-q", "--format", "oci-archive", "-o", files["podman save oci"], reference)
    run(*podman, "rmi", "-af")
    source = f"docker-archive:{files['docker save']}:{reference}"
    for kind in ("docker-archive", "oci-archive"):
        run("skopeo", "copy", "--insecure-policy", "-q", source, f"{kind}:{files[f'skopeo {kind}']}:{reference}")
    yield files
    shutil.rmtree(home)


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("form", FORMS)
def test_the_same_files_come_out(
    form: str, suffix: str, written: dict[str, Path], ours: Node, reference: str, tmp_path: Path
) -> None:
    images = tmp_path / "agent/images"
    images.mkdir(parents=True)
    (images / f"any-name{suffix}").write_bytes(PACKED[suffix](written[form].read_bytes()))
    sealift_node("extract", "--data-dir", tmp_path, "--runtime-image", reference.removeprefix("docker.io/"))
    target = (tmp_path / "bin").readlink()
    assert target.name == "bin" and target.parent.name == ours.bin.parent.name
    assert contents(target.parent) == contents(ours.bin.parent) != {}


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mode:o}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
