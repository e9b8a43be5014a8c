"""Layers go from a registry to their place in the archive: once, resumed, found again, and never taken for granted."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import mirrorjob
from bundles import index
from bundles.digest import Digest
from tests.support.gotools import go_tool
from tests.support.mirroring import done, sealift
from tests.support.published import layer, push, taking_recipe
from tests.support.registry import Registry, running_registry

ARCHIVE = "images/images.linux-amd64.tar"
BIG = layer({"big": os.urandom(6 << 20)})


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def slowline() -> Path:
    return go_tool("slowline")  # before a test gets a home of its own, where Go would compile all of itself


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEALIFT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def locked(folder: Path, registry: Registry, *names: str) -> Path:
    """A recipe of these images, locked."""
    recipe = taking_recipe(folder, {name: f"mirror: docker.io/up/{name}:v1" for name in names})
    done("lock", recipe, "--mirror", f"docker.io={registry.host}")
    return recipe


def next_version(recipe: Path, registry: Registry) -> None:
    """Another lock, of another time: so every archive is another one."""
    second = int(time.time())
    wait_for(lambda: int(time.time()) > second)
    bundle = recipe / "bundle.yaml"
    bundle.write_text(bundle.read_text().replace("version: v1.0.0", "version: v1.0.1"))
    done("lock", recipe, "--mirror", f"docker.io={registry.host}")


def build(recipe: Path, output: Path, host: str, *words: object) -> Path:
    return Path(done("build", recipe, "--output", output, "--mirror", f"docker.io={host}", *words))


def index_of(bundle: Path) -> bytes:
    return (bundle / index.INDEX_NAME).read_bytes()


def test_a_layer_is_on_the_disk_once_in_the_archive_that_store_and_bundle_share(registry: Registry, site: Path) -> None:
    push(registry, "up/once", "v1", [BIG])
    bundle = build(locked(site / "recipe", registry, "once"), site / "out", registry.host)
    assert not (site / "store/blobs/sha256" / Digest.of(BIG.data).hex).exists()
    (kept,) = (site / "store/archives").glob("*.tar")
    assert kept.samefile(bundle / ARCHIVE)
    done("verify", bundle, "--insecure-no-signature")


def test_an_archive_that_no_bundle_has_any_more_leaves_the_store_when_a_newer_one_holds_most_of_it(
    registry: Registry, site: Path
) -> None:
    push(registry, "up/nightly", "v1", [BIG])
    recipe, kept = locked(site / "recipe", registry, "nightly"), site / "store/archives"
    first = build(recipe, site / "out", registry.host)
    next_version(recipe, registry)
    second = build(recipe, site / "out", registry.host)
    content = (second / ARCHIVE).read_bytes()
    build(recipe, site / "out", registry.host)
    assert len([*kept.glob("*.tar")]) == 2  # both bundles are there
    shutil.rmtree(first)
    build(recipe, site / "out", registry.host)
    (left,) = kept.glob("*.tar")
    assert left.samefile(second / ARCHIVE) and len([*kept.iterdir()]) == 2
    shutil.rmtree(second)
    assert (build(recipe, site / "out", registry.host, "--offline") / ARCHIVE).read_bytes() == content


def test_bodies_that_are_cut_are_gone_on_with_and_give_the_same_bytes(
    registry: Registry, slowline: Path, site: Path
) -> None:
    names = [f"cut{at}" for at in range(6)]
    for name in names:
        push(registry, f"up/{name}", "v1", [layer({name: os.urandom(400_000)})])
    recipe = locked(site / "recipe", registry, *names)
    clean = build(recipe, site / "clean", registry.host)
    want, size = index_of(clean), (clean / ARCHIVE).stat().st_size
    shutil.rmtree(site / "store/archives")
    with mirrorjob.line(registry, cut=2, program=slowline) as line:
        bundle = build(recipe, site / "out", line.host)
        told = line.told()
    assert index_of(bundle) == want
    assert told["cuts"] >= 3 and told["ranges"] >= told["cuts"] and told["twice"] == 0
    assert told["bytes"] <= size


def test_a_killed_build_goes_on_from_the_bytes_that_it_had(registry: Registry, slowline: Path, site: Path) -> None:
    push(registry, "up/killed", "v1", [BIG])
    recipe = locked(site / "recipe", registry, "killed")
    words: list[str | Path] = [
        "build",
        recipe,
        "--output",
        site / "out",
        "--mirror",
        f"docker.io={registry.host}",
        "--limit-rate",
        "2M",
    ]
    child = subprocess.Popen([Path(sys.executable).with_name("sealift"), *words], stderr=subprocess.DEVNULL)
    wait_for(lambda: blocks(site / "store/archives") > 3 << 20)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not list((site / "store/archives").glob("*.tar"))
    with mirrorjob.line(registry, program=slowline) as line:
        bundle = build(recipe, site / "out", line.host)
        told = line.told()
    assert told["ranges"] == 1 and told["bytes"] < len(BIG.data) - (2 << 20)
    done("verify", bundle, "--insecure-no-signature")


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def blocks(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.glob("*.part")) if folder.exists() else 0


def test_the_next_release_fetches_what_changed_alone(registry: Registry, slowline: Path, site: Path) -> None:
    push(registry, "up/same", "v1", [BIG])
    push(registry, "up/other", "v1", [layer({"a": os.urandom(10_000)})])
    recipe = locked(site / "recipe", registry, "same", "other")
    build(recipe, site / "out", registry.host)
    changed = push(registry, "up/other", "v2", [layer({"a": os.urandom(20_000)})])
    images = recipe / "images.yaml"
    images.write_text(images.read_text().replace("up/other:v1", "up/other:v2"))
    next_version(recipe, registry)
    with mirrorjob.line(registry, program=slowline) as line:
        bundle = build(recipe, site / "out", line.host)
        assert line.told()["blobs"] == 1
    assert changed.digest in {image.digest for image in index.decode(index_of(bundle)).images}


def test_lock_and_build_in_one_ask_for_everything_once_and_give_the_bundle_of_the_two(
    registry: Registry, slowline: Path, site: Path
) -> None:
    first = push(registry, "up/both", "v1", [BIG])
    recipe = taking_recipe(site / "recipe", {"both": "mirror: docker.io/up/both:v1"})
    with mirrorjob.line(registry, program=slowline) as line:
        bundle = build(recipe, site / "out", line.host, "--lock")
        assert line.told() | {"bytes": 0} == {
            "requests": 3, "blobs": 2, "ranges": 0, "twice": 0, "bytes": 0, "cuts": 0, "probes": 0
        }  # fmt: skip
        text = (recipe / "lock.yaml").read_text()
        assert build(recipe, site / "out", line.host, "--lock") == bundle and line.told()["requests"] == 0
        build(recipe, site / "out", line.host, "--lock", "--tags")
        assert line.told()["requests"] == 1 and (recipe / "lock.yaml").read_text() == text
    assert index_of(build(recipe, site / "again", registry.host)) == index_of(bundle)
    second = push(registry, "up/both", "v1", [layer({"a": b"two"})])
    anew = ("build", recipe, "--output", site / "out", "--mirror", f"docker.io={registry.host}", "--lock", "--tags")
    refused = sealift(*anew, "--replace")
    assert refused.code == 2 and "the version stays" in refused.err
    assert (recipe / "lock.yaml").read_text() == text and first.digest in digests(bundle)
    assert second.digest in digests(Path(done(*anew, "--replace", "--same-version")))


def digests(bundle: Path) -> set[Digest]:
    return {image.digest for image in index.decode(index_of(bundle)).images}


def test_a_build_that_may_ask_nobody_locks_nothing(registry: Registry, site: Path) -> None:
    recipe = locked(site / "recipe", registry, "once")
    for words in (("--lock", "--offline"), ("--lock", "--inputs", site), ("--tags",), ("--same-version",)):
        refused = sealift("build", recipe, "--output", site / "out", *words)
        assert refused.code == 2 and "--lock" in refused.err
    assert not (site / "out").exists()


def test_a_damaged_archive_of_the_store_gives_no_byte_to_another(registry: Registry, site: Path) -> None:
    push(registry, "up/damaged", "v1", [BIG])
    recipe = locked(site / "recipe", registry, "damaged")
    bundle = build(recipe, site / "out", registry.host)
    with (bundle / ARCHIVE).open("r+b") as file:
        file.seek(3 << 20)
        file.write(b"damage")
    next_version(recipe, registry)
    offline = sealift("build", recipe, "--output", site / "out", "--offline")
    assert offline.code == 1 and "stored content is not what it was" in offline.err
    done("verify", build(recipe, site / "out", registry.host), "--insecure-no-signature")


def test_quick_leaves_what_is_in_a_layer_to_verify(registry: Registry, site: Path) -> None:
    push(registry, "up/liar", "v1", [layer({"a": b"true"})], diff_ids=[layer({"a": b"false"}).diff_id])
    bundle = build(locked(site / "recipe", registry, "liar"), site / "out", registry.host, "--quick")
    assert sealift("verify", bundle, "--insecure-no-signature", "--quick").code == 0
    refused = sealift("verify", bundle, "--insecure-no-signature")
    assert refused.code == 1 and "diff id" in refused.err


def test_an_output_on_another_filesystem_gets_a_copy(registry: Registry, site: Path) -> None:
    push(registry, "up/far", "v1", [BIG])
    recipe = locked(site / "recipe", registry, "far")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as far:
        bundle = build(recipe, Path(far) / "out", registry.host)
        assert (bundle / ARCHIVE).stat().st_dev != (site / "store").stat().st_dev
        done("verify", bundle, "--insecure-no-signature")


def test_cleaning_keeps_the_archive_that_a_recipe_needs_and_drops_the_older_one(registry: Registry, site: Path) -> None:
    push(registry, "up/clean", "v1", [BIG])
    recipe = locked(site / "recipe", registry, "clean")
    build(recipe, site / "out", registry.host)
    next_version(recipe, registry)
    bundle = build(recipe, site / "out", registry.host)
    assert len(list((site / "store/archives").glob("*.tar"))) == 2
    done("store", "--clean", recipe)
    (kept,) = (site / "store/archives").glob("*.tar")
    assert kept.samefile(bundle / ARCHIVE)
    shutil.rmtree(bundle)
    assert build(recipe, site / "out", registry.host, "--offline") == bundle


def test_the_whole_again_from_nothing_is_the_same(registry: Registry, site: Path) -> None:
    push(registry, "up/again", "v1", [layer({"a": b"again"})])
    bundle = build(locked(site / "recipe", registry, "again"), site / "out", registry.host, "--check")
    assert bundle.is_dir()
