"""Images mirrored from a real registry: locked, built, every digest kept, found again offline; drift told."""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.lock.text import read_lock
from bundles import index, oci
from bundles.digest import Digest
from tests.support.mirroring import done, sealift
from tests.support.published import layer, push, push_index, taking_recipe
from tests.support.registry import Registry, running_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEALIFT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def archive_blobs(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle / "images/images.linux-amd64.tar") as tar:
        return {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]


def test_every_byte_of_a_mirrored_image_is_what_the_registry_has(registry: Registry, site: Path) -> None:
    kinds = [oci.LAYER_GZIP, oci.LAYER_ZSTD, oci.LAYER_TAR]
    layers = [layer({f"f{at}": os.urandom(9000)}, kind) for at, kind in enumerate(kinds)]
    pushed = push(registry, "up/all", "v1", layers)
    docker = push(registry, "up/docker", "v1", [layers[0]], docker=True)
    recipe = taking_recipe(
        site / "recipe",
        {
            "all": f"mirror: {registry.host}/up/all:v1",
            "docker": "mirror: docker.io/up/docker:v1\nname: example.org/renamed:v2",
        },
    )
    mirror = ("--mirror", f"docker.io={registry.host}")
    done("lock", recipe, *mirror)
    bundle = Path(done("build", recipe, "--output", site / "out", *mirror))
    blobs = archive_blobs(bundle)
    for image in (pushed, docker):
        for data in (image.manifest, image.config):
            assert blobs[f"blobs/sha256/{Digest.of(data).hex}"] == data
    for one in layers:
        assert blobs[f"blobs/sha256/{Digest.of(one.data).hex}"] == one.data
    done("verify", bundle, "--insecure-no-signature")
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    names = {image.reference: image.digest for image in document.images}
    assert names[f"{registry.host}/up/all:v1"] == pushed.digest
    assert names["example.org/renamed:v2"] == docker.digest


def test_a_locked_image_is_built_again_offline_after_its_tag_moved_and_the_bundle_is_gone(
    registry: Registry, site: Path
) -> None:
    first = push(registry, "up/moving", "v1", [layer({"a": b"one"})])
    recipe = taking_recipe(site / "recipe", {"moving": f"mirror: {registry.host}/up/moving:v1"})
    done("lock", recipe)
    bundle = Path(done("build", recipe, "--output", site / "out"))
    before = (bundle / index.INDEX_NAME).read_bytes()
    second = push(registry, "up/moving", "v1", [layer({"a": b"two"})])
    drift = sealift("lock", recipe, "--check")
    assert drift.code == 1 and f"{first.digest} -> {second.digest}" in drift.err
    shutil.rmtree(bundle)
    assert Path(done("build", recipe, "--output", site / "out", "--offline")) == bundle
    assert (bundle / index.INDEX_NAME).read_bytes() == before


def test_tags_are_taken_as_they_are_now_when_that_is_asked_for_and_the_others_stay_pinned(
    registry: Registry, site: Path
) -> None:
    images = {name: f"mirror: {registry.host}/up/{name}:v1" for name in ("moves", "stays", "many")}
    for name in ("moves", "stays"):
        push(registry, f"up/{name}", "v1", [layer({name: b"one"})])
    push_index(registry, "up/many", "v1", [push(registry, "up/many", None, [layer({"a": b"amd"})])])
    recipe = taking_recipe(site / "recipe", images)
    done("lock", recipe)
    before = {each.image: each for each in read_lock(recipe).images}
    moved = push(registry, "up/moves", "v1", [layer({"moves": b"two"})])
    done("lock", recipe)
    assert {each.image: each for each in read_lock(recipe).images} == before
    refused = sealift("lock", recipe, "--tags")
    assert refused.code != 0 and "the version stays" in refused.err
    done("lock", recipe, "--tags", "--same-version")
    after = {each.image: each for each in read_lock(recipe).images}
    assert after["moves"].manifest.digest == moved.digest != before["moves"].manifest.digest
    assert [after[name] for name in ("stays", "many")] == [before[name] for name in ("stays", "many")]
    bundle = Path(done("build", recipe, "--output", site / "out"))
    assert f"blobs/sha256/{moved.digest.hex}" in archive_blobs(bundle)
    held = (recipe / "lock.yaml").read_bytes()
    assert "unchanged" in done("lock", recipe, "--tags") and (recipe / "lock.yaml").read_bytes() == held


def test_every_image_whose_documents_are_damaged_in_the_store_is_named_at_once(registry: Registry, site: Path) -> None:
    names = ("bad1", "good", "bad2")
    pushed = {name: push(registry, f"up/{name}", "v1", [layer({name: b"x"})]) for name in names}
    recipe = taking_recipe(site / "recipe", {name: f"mirror: {registry.host}/up/{name}:v1" for name in names})
    done("lock", recipe)
    for name in ("bad1", "bad2"):
        path = site / "store/blobs/sha256" / pushed[name].digest.hex
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-1] + b" ")
    refused = sealift("build", recipe, "--output", site / "out")
    assert refused.code == 1 and "2 steps failed" in refused.err
    assert "image bad1" in refused.err and "image bad2" in refused.err and "image good" not in refused.err


def test_offline_names_what_the_store_lacks(registry: Registry, site: Path) -> None:
    push(registry, "up/absent", "v1", [layer({"a": b"absent"})])
    recipe = taking_recipe(site / "recipe", {"absent": f"mirror: {registry.host}/up/absent:v1"})
    done("lock", recipe)
    shutil.rmtree(site / "store")
    result = sealift("build", recipe, "--output", site / "out", "--offline")
    assert result.code == 1 and "up/absent:v1" in result.err and "offline" in result.err


def test_the_platform_is_chosen_and_a_kept_index_is_the_original(registry: Registry, site: Path) -> None:
    arm = push(registry, "up/many", None, [layer({"a": b"arm"})], architecture="arm64", variant="v8")
    amd = push(registry, "up/many", None, [layer({"a": b"amd"})])
    original = push_index(registry, "up/many", "v1", [arm, amd])
    place = f"{registry.host}/up/many"
    recipe = taking_recipe(
        site / "recipe",
        {
            "plain": f"mirror: {place}:v1\nname: example.org/plain:v1",
            "kept": f"mirror: {place}:v1\nname: example.org/kept:v1\nkeep-index: true",
            "pinned": f"mirror: {place}:v1@{Digest.of(original)}\nname: example.org/pinned:v1",
        },
    )
    done("lock", recipe)
    bundle = Path(done("build", recipe, "--output", site / "out"))
    blobs = archive_blobs(bundle)
    assert blobs[f"blobs/sha256/{Digest.of(original).hex}"] == original
    assert f"blobs/sha256/{arm.digest.hex}" not in blobs
    listed = json.loads(blobs["index.json"])["manifests"]
    targets = {one["annotations"][oci.ANNOTATION_IMAGE_NAME]: one["digest"] for one in listed}
    assert targets == {
        "example.org/plain:v1": str(amd.digest),
        "example.org/kept:v1": str(Digest.of(original)),
        "example.org/pinned:v1": str(Digest.of(original)),
    }
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    taken = [image for image in document.images if image.reference.startswith("example.org")]
    assert {(image.digest, image.index_digest) for image in taken} == {(amd.digest, Digest.of(original))}
    done("verify", bundle, "--insecure-no-signature")


@pytest.mark.parametrize("keys", ["mirror: {}/up/wrong:v1", "mirror: {}/up/none:v1"])
def test_what_cannot_be_mirrored_is_said_when_it_is_locked(registry: Registry, site: Path, keys: str) -> None:
    push(registry, "up/wrong", "v1", [layer({"a": b"arm"})], architecture="arm64")
    recipe = taking_recipe(site / "recipe", {"wrong": keys.format(registry.host)})
    result = sealift("lock", recipe)
    assert result.code == 1 and "/up/" in result.err and not (recipe / "lock.yaml").exists()


def test_a_layer_that_is_not_what_its_config_says_is_found_before_the_bundle_has_a_name(
    registry: Registry, site: Path
) -> None:
    push(registry, "up/liar", "v1", [layer({"a": b"true"})], diff_ids=[layer({"a": b"false"}).diff_id])
    recipe = taking_recipe(site / "recipe", {"liar": f"mirror: {registry.host}/up/liar:v1"})
    done("lock", recipe)
    result = sealift("build", recipe, "--output", site / "out")
    assert result.code == 1 and "diff id" in result.err
    assert not [path for path in (site / "out").iterdir() if not path.name.startswith(".")]
