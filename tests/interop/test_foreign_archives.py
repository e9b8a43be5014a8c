"""What skopeo and podman really write is extracted: each form, plain and compressed, same files, right identity."""

import gzip
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backports import zstd

from bundles.digest import Digest
from bundles.foreign.find import find_image
from bundles.reference import Reference
from tests.support import tars
from tests.support.foreign import AMD64, NAME, World
from tests.support.tars import ELF_AMD64, folder, member, symlink, tar

pytestmark = pytest.mark.real

KUBELET = ELF_AMD64 + b"kubelet" * 50_000
LAYERS = (
    tar(folder("bin"), member("bin/kubelet", KUBELET, mode=0o755), symlink("bin/kl", "kubelet"), member("bin/old")),
    tar(folder("charts"), member("charts/c.yaml", b"c" * 100), member("bin/.wh.old")),
)
FORMS = ("skopeo docker-archive", "skopeo oci-archive", "podman docker-archive", "podman oci-archive")
PACKED: dict[str, Callable[[bytes], bytes]] = {".tar": bytes, ".tar.gz": gzip.compress, ".tar.zst": zstd.compress}


@pytest.fixture(scope="module")
def image() -> tars.Image:
    made = tars.image(*LAYERS, compress="gzip")
    made.media += "+gzip"
    return made


@pytest.fixture(scope="module")
def written(image: tars.Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The image as each tool writes it."""
    root = tmp_path_factory.mktemp("tools")
    layout = root / "layout"
    for name, data in tars.documents(image, ["x"], docker=False).items():
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        (layout / name).write_bytes(data)
    index = json.loads((layout / "index.json").read_bytes())
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    (layout / "index.json").write_text(json.dumps(index))
    files = {form: root / f"{form.replace(' ', '-')}.tar" for form in FORMS}
    for kind in ("docker-archive", "oci-archive"):
        target = f"{kind}:{files[f'skopeo {kind}']}:{NAME}"
        run("skopeo", "--insecure-policy", "copy", "-q", f"oci:{layout}:v1", target)
    home = tempfile.mkdtemp(prefix="podman-")  # podman wants a runroot of at most 50 characters
    podman = ("podman", "--root", f"{home}/storage", "--runroot", f"{home}/run", "--storage-driver", "vfs")
    ident = run(*podman, "pull", "-q", f"oci:{layout}:v1").strip()
    run(*podman, "tag", ident, NAME)
    for kind in ("docker-archive", "oci-archive"):
        run(*podman, "save", "-q", "--format", kind, "-o", str(files[f"podman {kind}"]), NAME)
    yield files
    run(*podman, "rmi", "-f", ident)
    shutil.rmtree(home)


def run(*argv: str) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("form", FORMS)
def test_the_image_is_extracted_from_what_the_tool_wrote(
    form: str, suffix: str, written: dict[str, Path], image: tars.Image, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.put(PACKED[suffix](written[form].read_bytes()), f"image{suffix}")
    report = world.extract()
    assert {file.path: file.digest for file in report.files} == {
        "/bin/kubelet": Digest.of(KUBELET),
        "/charts/c.yaml": Digest.of(b"c" * 100),
    }
    assert os.readlink(world.staging / "bin/kl") == "kubelet"
    world.assert_nothing_escaped()


@pytest.mark.parametrize("form", FORMS)
def test_identity_and_platform_are_those_of_the_image(
    form: str, written: dict[str, Path], image: tars.Image, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.put(written[form].read_bytes())
    with find_image(world.images, Reference.parse(NAME), platform=AMD64, scratch=tmp_path) as found:
        assert [layer.diff_id for layer in found.layers] == [Digest.of(layer) for layer in LAYERS]
        assert found.config_digest == Digest.of(image.config_bytes) or form.startswith("podman")
        assert (found.manifest_digest is not None) == form.endswith("oci-archive")
        if form == "skopeo oci-archive":
            assert found.identity == Digest.of(image.manifest_bytes)
