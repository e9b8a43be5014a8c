"""The bundle that we ship, in Debian's registry: pushed, pulled, and its images taken from there by other programs."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bundles import index
from bundles.index import BundleIndex
from bundles.registry.place import Repository
from bundles.registry.registriesread import read_registries
from tests.support.containerd import Containerd
from tests.support.cosigning import key_files
from tests.support.cuttingproxy import cutting_proxy
from tests.support.gotools import go_tool
from tests.support.registry import Registry, running_registry

pytestmark = pytest.mark.real
SEALIFT = Path(__file__).resolve().parents[2] / ".venv/bin/sealift"


def sealift(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """The command, without anybody's credentials."""
    done = subprocess.run(
        [SEALIFT, *map(str, words)], env={"PATH": "/usr/bin:/bin", "HOME": str(home)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


@dataclass(frozen=True)
class Pushed:
    """The bundle in a registry, its images below `hub`."""

    registry: Registry
    bundle: Path
    document: BundleIndex
    home: Path
    said: dict[str, object]

    @property
    def place(self) -> str:
        return f"{self.registry.host}/site/rke2:v1"

    def push(self) -> dict[str, object]:
        """Once more."""
        done = sealift(self.home, "push", self.bundle, self.place, "--images", f"{self.registry.host}/hub", "--json")
        found: dict[str, object] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def pushed(rke2_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    home = tmp_path_factory.mktemp("home")
    document = index.decode((rke2_bundle / index.INDEX_NAME).read_bytes())
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        first = Pushed(registry, rke2_bundle, document, home, {})
        yield Pushed(registry, rke2_bundle, document, home, first.push())


def test_a_second_push_of_the_real_bundle_sends_nothing(pushed: Pushed) -> None:
    assert pushed.said["sent"] != {"blobs": 0, "bytes": 0, "manifests": 0, "referrers": 0}
    again = pushed.push()
    assert again["sent"] == {"blobs": 0, "bytes": 0, "manifests": 0, "referrers": 0}
    assert again["digest"] == pushed.said["digest"]


def test_the_real_bundle_comes_back_whole_over_a_line_that_cuts(pushed: Pushed, tmp_path: Path) -> None:
    with cutting_proxy(pushed.registry.host, every=5) as way:
        done = sealift(tmp_path, "pull", f"{way.host}/site/rke2:v1", "--output", tmp_path / "out")
        assert way.cuts > 3
        size = sum(file.stat().st_size for file in pushed.bundle.rglob("*") if file.is_file())
        assert way.sent < 1.01 * size
    folder = Path(done.stdout.strip())
    for path in (one for one in pushed.bundle.rglob("*") if one.is_file()):
        with path.open("rb") as ours, (folder / path.relative_to(pushed.bundle)).open("rb") as theirs:
            assert hashlib.file_digest(ours, "sha256").digest() == hashlib.file_digest(theirs, "sha256").digest()
    sealift(tmp_path, "verify", folder, "--quick", "--insecure-no-signature")


def test_a_signed_bundle_is_trusted_after_its_way(hello_bundle: Path, pushed: Pushed, tmp_path: Path) -> None:
    keys = key_files(tmp_path)
    bundle = tmp_path / hello_bundle.name
    shutil.copytree(hello_bundle, bundle)
    (tmp_path / "word").write_text("correct horse")
    sealift(tmp_path, "sign", bundle, "--key", keys.private, "--password-file", tmp_path / "word")
    place = f"{pushed.registry.host}/site/hello:v1"
    sealift(tmp_path, "push", bundle, place)
    got = sealift(tmp_path, "pull", place, "--output", tmp_path / "out").stdout.strip()
    sealift(tmp_path, "verify", got, "--key", keys.public)
    assert len(list(Path(got).glob("*.sig*"))) >= 2


def test_skopeo_copies_every_image_with_its_digest(pushed: Pushed, tmp_path: Path) -> None:
    for image in pushed.document.images:
        name = image.reference.removeprefix("docker.io/").partition(":")
        source = f"docker://{pushed.registry.host}/hub/{name[0]}:{name[2]}"
        words = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", source]
        assert subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip() == str(image.digest)
    target = f"oci:{tmp_path / 'layout'}:x"
    # The bundle's own repository serves as well, by digest.
    source = f"docker://{pushed.registry.host}/site/rke2@{pushed.document.images[1].digest}"
    subprocess.run(["skopeo", "copy", "--src-tls-verify=false", source, target], check=True, capture_output=True)
    layout = json.loads((tmp_path / "layout/index.json").read_bytes())
    assert layout["manifests"][0]["digest"] == str(pushed.document.images[1].digest)


def test_containerd_pulls_where_the_printed_registries_yaml_says(pushed: Pushed, tmp_path: Path) -> None:
    text = pushed.said["registries.yaml"]
    assert isinstance(text, str)
    ways = read_registries(yaml.safe_load(text), where="registries.yaml").ways()
    image = pushed.document.images[1]
    path, _, tag = image.reference.removeprefix("docker.io/").partition(":")
    endpoint = ways.to_pull(Repository(host="docker.io", path=path))[0]
    with Containerd("/usr/sbin:/usr/bin:/sbin:/bin", tmp_path / "containerd") as daemon:
        name = f"{endpoint.origin.partition('://')[2]}/{endpoint.path}:{tag}"
        daemon.ctr("images", "pull", "--plain-http", name)
        (row,) = [line for line in daemon.ctr("images", "ls").stdout.splitlines() if name in line]
        assert str(image.digest) in row


def test_what_oras_is_made_of_pulls_the_bundle_with_its_file_names(pushed: Pushed, tmp_path: Path) -> None:
    done = subprocess.run(
        [go_tool("orasgo"), pushed.place, tmp_path / "got"], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == pushed.said["digest"]
    for file in [index.INDEX_NAME, *(one.path for one in pushed.document.files)]:
        assert (tmp_path / "got" / file).read_bytes() == (pushed.bundle / file).read_bytes()


def test_what_oras_is_made_of_discovers_sboms_provenance_and_signatures(
    hello_bundle: Path, pushed: Pushed, tmp_path: Path
) -> None:
    """By the tag that stands in for the API in Debian's registry."""
    keys, bundle = key_files(tmp_path), tmp_path / hello_bundle.name
    shutil.copytree(hello_bundle, bundle)
    (tmp_path / "word").write_text("correct horse")
    sealift(tmp_path, "sign", bundle, "--key", keys.private, "--password-file", tmp_path / "word")
    place = f"{pushed.registry.host}/site/discovered:v1"
    sealift(tmp_path, "push", bundle, place)
    done = subprocess.run([go_tool("orasgo"), place], check=True, capture_output=True, text=True)
    kinds = {line.split()[0] for line in done.stdout.splitlines()}
    assert kinds >= {"application/vnd.sealift.signature.v1+json", "application/spdx+json"}, kinds
    assert any("cyclonedx" in kind for kind in kinds) and any("in-toto" in kind for kind in kinds), kinds
