"""A policy's rules for upstream images at build time: images in a real registry, signed by real cosigns."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundles.digest import Digest
from tests.support import policies
from tests.support.cosigning import Cosign, KeyFiles, cosign, key_files
from tests.support.mirroring import done, sealift
from tests.support.published import layer, push, push_index, taking_recipe
from tests.support.registry import Registry, running_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module", params=[2, 3])
def tool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return cosign(request.param, tmp_path_factory.mktemp("cosign"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    return key_files(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEALIFT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def policy(path: Path, registry: Registry, keys: KeyFiles) -> Path:
    document = policies.document(
        keys={**policies.pems("release", "builder", "root"), "upstream": keys.key.public.pem.decode()},
        images=[{"references": [f"{registry.host}/up/*"], "signers": ["upstream"]}],
    )
    path.write_text(json.dumps(document))
    return path


def sign(tool: Cosign, keys: KeyFiles, registry: Registry, name: str, digest: Digest) -> None:
    place = ["--allow-http-registry", f"{registry.host}/{name}@{digest}"]
    tool.run("sign", "--key", keys.private, *tool.signing, *place)


def test_an_image_is_taken_over_only_with_the_signature_that_the_policy_asks_for(
    tool: Cosign, keys: KeyFiles, registry: Registry, site: Path
) -> None:
    name = f"up/policy{tool.version}"
    image = push(registry, name, "v1", [layer({"a": f"{tool.version}".encode()})])
    recipe = taking_recipe(site / "recipe", {"image": f"mirror: {registry.host}/{name}:v1"})
    done("lock", recipe)
    build = ("build", recipe, "--output", site / "out", "--policy", policy(site / "policy.json", registry, keys))
    refused = sealift(*build)
    assert refused.code == 3 and f"{name}:v1" in refused.err and "upstream" in refused.err
    assert not (site / "out").exists()
    sign(tool, keys, registry, name, image.digest)
    done(*build)


def test_the_signature_of_an_index_counts_for_its_image_and_the_kept_copy_serves_offline(
    tool: Cosign, keys: KeyFiles, registry: Registry, site: Path
) -> None:
    name = f"up/index{tool.version}"
    image = push(registry, name, None, [layer({"a": f"i{tool.version}".encode()})])
    index = push_index(registry, name, "v1", [image])
    sign(tool, keys, registry, name, Digest.of(index))
    recipe = taking_recipe(site / "recipe", {"image": f"mirror: {registry.host}/{name}:v1"})
    done("lock", recipe)
    build = ("build", recipe, "--output", site / "out", "--policy", policy(site / "policy.json", registry, keys))
    unknown = sealift(*build, "--offline")
    assert unknown.code == 1 and "no signatures" in unknown.err
    done(*build)
    done(*build, "--offline")


def test_somebody_elses_signature_is_refused(tool: Cosign, keys: KeyFiles, registry: Registry, site: Path) -> None:
    name = f"up/stranger{tool.version}"
    image = push(registry, name, "v1", [layer({"a": f"s{tool.version}".encode()})])
    stranger = key_files(site)
    sign(tool, stranger, registry, name, image.digest)
    recipe = taking_recipe(site / "recipe", {"image": f"mirror: {registry.host}/{name}:v1"})
    done("lock", recipe)
    words = ("build", recipe, "--output", site / "out", "--policy", policy(site / "policy.json", registry, keys))
    refused = sealift(*words)
    assert refused.code == 3 and "nobody" in refused.err
