"""What others publish at tags and URLs is in an input archive too: both can be gone when it is built again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fileserver import file_server
from tests.support.mirroring import done, sealift
from tests.support.published import layer, push, taking_recipe
from tests.support.publishing import build_recipe, lock_recipe, packed, release_tar, taken_recipe
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


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_mirrored_image_is_built_from_the_archive_alone_after_its_tag_moved(registry: Registry, site: Path) -> None:
    push(registry, "up/kept", "v1", [layer({"a": b"one"}), layer({"b": b"two" * 999})])
    recipe = taking_recipe(site / "recipe", {"kept": f"mirror: {registry.host}/up/kept:v1"})
    done("lock", recipe)
    done("fetch", recipe, "--to", site / "inputs")
    bundle = Path(done("build", recipe, "--output", site / "out"))
    push(registry, "up/kept", "v1", [layer({"a": b"other"})])
    shutil.rmtree(site / "store")
    again = Path(done("build", recipe, "--output", site / "again", "--inputs", site / "inputs", "--offline"))
    assert contents(again) == contents(bundle)


def test_a_missing_blob_of_an_image_is_named(registry: Registry, site: Path) -> None:
    push(registry, "up/holed", "v1", [layer({"a": b"holed"})])
    recipe = taking_recipe(site / "recipe", {"holed": f"mirror: {registry.host}/up/holed:v1"})
    done("lock", recipe)
    done("fetch", recipe, "--to", site / "inputs")
    largest = max((site / "inputs/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.unlink()
    shutil.rmtree(site / "store")
    result = sealift("build", recipe, "--output", site / "out", "--inputs", site / "inputs", "--offline")
    assert result.code == 1 and largest.name in result.err and "sealift fetch" in result.err


def test_a_file_of_a_url_is_built_from_the_archive_after_the_server_is_gone(site: Path) -> None:
    with file_server({"/v1.2.3/tool.tar.gz": packed(release_tar())}) as server:
        entry = f"tool:\n  url: {server.url('/$version/tool.tar.gz')}\n  version: v1.2.3\n"
        entry += "  files: {tool: tool-$version/bin/tool}\n"
        recipe = taken_recipe(site / "recipe", entry, "    - tool/tool: /bin\n")
        lock_recipe(recipe, site / "store")
        built = build_recipe(recipe, site / "out", site / "store")
        done("fetch", recipe, "--to", site / "inputs", "--offline")
    shutil.rmtree(site / "store")
    again = Path(done("build", recipe, "--output", site / "again", "--inputs", site / "inputs", "--offline"))
    assert contents(again) == contents(built.folder)
