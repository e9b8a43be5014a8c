"""Images that podman builds of a Containerfile: pinned bases, no network, one image in its archive."""

import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from builder.engine.door import Engine, EngineBuild
from builder.errors import StepError
from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.foreign.catalogue import open_archive
from bundles.foreign.find import read_images
from bundles.index import decode
from tests.support.podmans import podman_home
from tests.support.publishing import BUNDLE, TOOL, build_recipe, lock_recipe, taken_recipe
from tests.support.registry import OCI, Registry, running_registry
from tests.support.releases import AMD64
from tests.support.tars import image, member, tar

pytestmark = pytest.mark.real
CHECK = """\
#include <net/if.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    struct if_nameindex *found = if_nameindex();
    FILE *out = fopen("/result", "w");
    int others = 0;
    for (; found && found->if_index; found++) others += strcmp(found->if_name, "lo") != 0;
    fprintf(out, "%s %d\\n", argc > 1 ? argv[1] : "", others);
    return fclose(out);
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Writes how many network interfaces there are beside lo."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "check.c").write_text(CHECK)
    subprocess.run(["gcc", "-Os", "-static", "-o", "check", "check.c"], cwd=folder, check=True)
    return (folder / "check").read_bytes()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, program: bytes) -> Iterator[Registry]:
    """Debian's, with a base image that has one program."""
    with running_registry(tmp_path_factory.mktemp("registry")) as made:
        push(made, "v1", tar(member("bin/check", program, mode=0o755)))
        yield made


def push(registry: Registry, tag: str, layer: bytes) -> Digest:
    base = image(layer)
    base.config["history"] = [{"created_by": "a test"}]  # podman counts them
    described = json.loads(base.manifest_bytes)
    for data, kind in ((base.config_bytes, described["config"]["mediaType"]), (layer, base.media)):
        registry.push_blob("some/base", data, kind)
    return registry.push_manifest("some/base", tag, {**described, "mediaType": OCI})


@pytest.fixture
def podman(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """It takes plain http from our registry."""
    with podman_home(registry.host) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield environment["SEALIFT_ENGINE"]


def recipe_with(folder: Path, containerfile: str, more: str = "") -> Path:
    entry = f"app:\n  engine: ./app\n  name: some/app:v1\n{more}"
    bundle = BUNDLE + "  apps: [app]\n"
    taken_recipe(folder, "tool:\n  file: ./tool\n  executable: true\n", "    - tool: /bin\n", bundle=bundle, more=entry)
    (folder / "tool").write_bytes(TOOL)
    (folder / "app").mkdir(exist_ok=True)
    (folder / "app/Containerfile").write_text(containerfile)
    (folder / "app/app.conf").write_text("a = 1\n")
    return folder


def files_in(bundle: Path) -> Mapping[str, bytes]:
    """All files of the image's layers."""
    found: dict[str, bytes] = {}
    index = decode((bundle / "bundle.json").read_bytes())
    digest = next(one.digest for one in index.images if "some/app" in one.reference)
    with tarfile.open(bundle / "images/apps.linux-amd64.tar") as archive:
        blobs = {one.name: archive.extractfile(one) for one in archive.getmembers()}
        manifest = blobs[f"blobs/sha256/{digest.hex}"]
        assert manifest is not None
        for layer in jsontext.decode(manifest.read(), oci.Manifest, where="manifest").layers:
            blob = blobs[f"blobs/sha256/{layer.digest.hex}"]
            assert blob is not None
            data = subprocess.run(["zstd", "-dc"], input=blob.read(), capture_output=True, check=True).stdout
            with tempfile.TemporaryFile() as file:
                file.write(data)
                file.seek(0)
                with tarfile.open(fileobj=file) as inner:
                    for one in inner:
                        content = inner.extractfile(one) if one.isreg() else None
                        if content is not None:
                            found[one.name] = content.read()
    return found


def test_an_image_is_built_on_locked_bases_without_a_network_and_says_that_it_is_not_reproducible(
    registry: Registry, podman: str, tmp_path: Path
) -> None:
    text = f'FROM {registry.host}/some/base:v1\nARG WORD\nCOPY app.conf /etc/\nRUN ["/bin/check", "hello"]\n'
    recipe = recipe_with(tmp_path / "recipe", text, "  arguments: {WORD: x}\n")
    lock = lock_recipe(recipe, tmp_path / "store")
    (source,) = lock.image_sources
    assert source.source == "engine:app" and [base.reference for base in source.bases] == [
        f"{registry.host}/some/base:v1"
    ]
    push(registry, "v1", tar(member("bin/check", b"another program", mode=0o755)))
    built = build_recipe(recipe, tmp_path / "out", tmp_path / "store")
    found = files_in(built.folder)
    assert found["result"] == b"hello 0\n", "no interface but lo"
    assert found["etc/app.conf"] == b"a = 1\n"
    provenance = json.loads((built.folder / "provenance.json").read_bytes())
    definition = provenance["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["notReproducible"][0].startswith("image app: built by podman")
    names = [each["name"] for each in definition["resolvedDependencies"]]
    assert {"engine:app", f"image:{registry.host}/some/base:v1"} <= {*names}
    again = build_recipe(recipe, tmp_path / "out2", tmp_path / "store", offline=True)
    assert again.index == built.index, "what the store keeps is not built again"


def test_the_engine_s_own_words_tell_what_failed(registry: Registry, podman: str, tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path / "recipe", "FROM scratch\nCOPY nothing /\n")
    lock_recipe(recipe, tmp_path / "store")
    with pytest.raises(StepError, match="nothing"):
        build_recipe(recipe, tmp_path / "out", tmp_path / "store")


def test_each_image_has_an_archive_of_its_own_content(podman: str, tmp_path: Path) -> None:
    """podman's save of two names writes one image under both; ours writes one image at a time."""
    engine = Engine.chosen(os.environ)
    configs = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file").write_text(name)
        (folder / "Containerfile").write_text("FROM scratch\nCOPY file /\n")
        wanted = EngineBuild(
            folder=folder,
            file=folder / "Containerfile",
            output=tmp_path / f"{name}.tar",
            tag=f"sealift.invalid/test:{name}",
            platform=AMD64,
        )
        engine.build(wanted)
        with open_archive(wanted.output) as archive:
            (only,) = read_images(archive)
        assert only.names == {f"sealift.invalid/test:{name}"}
        configs.add(only.config_digest)
    assert len(configs) == 2
    left = subprocess.run([*podman.split(), "images", "-q", "sealift.invalid/test"], capture_output=True, text=True)
    assert left.stdout == "", "no tag of ours stays"


def test_what_podman_and_docker_save_is_taken_as_an_archive(podman: str, tmp_path: Path) -> None:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "file").write_text("x")
    (folder / "Containerfile").write_text("FROM scratch\nCOPY file /\n")
    run = [*podman.split()]
    subprocess.run([*run, "build", "-q", "-t", "localhost/some/app:v1", folder], check=True, capture_output=True)
    digests = {}
    for kind in ("docker-archive", "oci-archive"):
        recipe = tmp_path / kind
        entry = "app:\n  archive: ./app.tar\n  name: some/app:v1\n"
        components = "tool:\n  file: ./tool\n  executable: true\n"
        bundle = BUNDLE + "  apps: [app]\n"
        taken_recipe(recipe, components, "    - tool: /bin\n", bundle=bundle, more=entry)
        (recipe / "tool").write_bytes(TOOL)
        command = [*run, "save", "-q", "--format", kind, "-o", recipe / "app.tar", "localhost/some/app:v1"]
        subprocess.run(command, check=True, capture_output=True)
        lock_recipe(recipe, tmp_path / "store")
        built = build_recipe(recipe, tmp_path / f"out-{kind}", tmp_path / "store")
        digests[kind] = next(one.digest for one in built.index.images if "some/app" in one.reference)
    listed = json.loads(subprocess.run([*run, "image", "inspect", "localhost/some/app:v1"], capture_output=True).stdout)
    inside = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci-archive:{tmp_path}/oci-archive/app.tar"], capture_output=True, check=True
    )
    assert digests["oci-archive"] == Digest.of(inside.stdout), "its own manifest"
    assert listed[0]["Id"] and digests["docker-archive"] != digests["oci-archive"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ARG X\nFROM $X\n", "base image in a variable"),
        ("FROM alpine\n", "no tag and no digest"),
        ("# syntax=docker/dockerfile:1\nFROM scratch\n", "changes how the file is read"),
        ("FROM scratch\nADD https://example.org/x /x\n", "remote"),
        ("FROM scratch\nRUN <<EOF\nx\nEOF\n", "here-documents"),
        ("FROM scratch AS a b c\n", "cannot be read"),
        ("FROM scratch\nCOPY --from=alpine /x /x\n", "no tag and no digest"),
    ],
)
def test_what_would_bring_in_what_nobody_locked_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SealiftError, match=words):
        lock_recipe(recipe_with(tmp_path / "recipe", text), tmp_path / "store")
