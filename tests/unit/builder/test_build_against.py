"""A second builder: what is equal in every byte gets another signature, what is not is named down to the file."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from builder.against import Against
from builder.build import BuildOptions, Built, build
from builder.errors import RecipeError
from builder.progress import SilentTalk
from builder.signing import sign_bundle
from builder.store import Store
from bundles import jsontext
from bundles.compare.bundle import compare
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError, TrustError
from bundles.index import BundleIndex
from bundles.platform import Platform
from bundles.signing import dsse, keyfile, statement
from bundles.signing.statement import SLSA_PROVENANCE
from bundles.talk import SilentProgress
from bundles.trust import by_policy
from bundles.verify import verify_bundle
from tests.support import policies
from tests.support.bundles import forge
from tests.support.damage import flip
from tests.support.recipes import tiny_recipe, write_lock

SEALIFT = Path(sys.executable).parent / "sealift"
RUNTIME = "images/rke2-runtime.linux-amd64.tar"
PASSWORD = "three builders"


def run(recipe: Path, home: Path, *, against: Path | None = None, other_builder: bool = False) -> Built:
    """A build with the store `home/store`."""
    return build(
        recipe,
        BuildOptions(
            output=home / "out",
            store=Store(home / "store"),
            talk=SilentTalk(),
            host=Platform.parse("linux/amd64"),
            env=os.environ,
            against=Against(bundle=against, other_builder=other_builder) if against else None,
        ),
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def built(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first builder made."""
    return run(recipe, tmp_path_factory.mktemp("first")).folder


@pytest.fixture(scope="module")
def second(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second builder's machine: the same recipe was built there once already."""
    home = tmp_path_factory.mktemp("second")
    run(recipe, home)
    shutil.rmtree(home / "out")
    return home


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Path:
    """A copy that came from the first builder."""
    return Path(shutil.copytree(built, tmp_path / built.name))


def two_of_three(bundle: Path, **rule: Any) -> None:
    names = ("release", "builder", "third")
    rules = [{"names": ["*"], "signers": list(names), "threshold": 2, **rule}]
    policy = policies.policy(keys=policies.pems(*names), update={"signers": ["release"]}, bundles=rules)
    verify_bundle(bundle, by_policy(policy, Path("policy.json")))


def test_two_of_three_builders_who_made_the_same_bytes_let_a_bundle_in(
    recipe: Path, bundle: Path, tmp_path: Path
) -> None:
    """As on the command line, with a store that has nothing: all of it is built anew, and no bundle is left there."""
    sign_bundle(bundle, policies.key("release"), progress=SilentProgress())
    with pytest.raises(TrustError, match="not signed as the policy asks"):
        two_of_three(bundle)
    for name in ("builder", "third"):
        key = tmp_path / f"{name}.key"
        key.write_bytes(keyfile.write_private_key(policies.key(name), PASSWORD.encode(), random=os.urandom))
        words: list[str | Path] = [SEALIFT, "build", recipe, "--check", "--against", bundle, "--sign", key]
        words += ["--store", tmp_path / name, "--progress", "plain"]
        done = subprocess.run(words, env={**os.environ, "SEALIFT_PASSWORD": PASSWORD}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "the same in every byte" in done.stderr and done.stdout.strip() == str(bundle)
        two_of_three(bundle)
        two_of_three(bundle, attestations=[{"type": SLSA_PROVENANCE, "signers": ["release", name], "threshold": 2}])
    assert not list(tmp_path.rglob("third/**/bundle.json"))


def test_nothing_is_signed_and_nothing_written_without_a_key(recipe: Path, bundle: Path, second: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    confirmed = run(recipe, second, against=bundle).confirmed
    assert confirmed is not None and confirmed.index == Digest.of((bundle / "bundle.json").read_bytes())
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before


def other_bundle(recipe: Path, home: Path, lock: Path, change: Callable[[Path], None]) -> Path:
    """What a builder made of a changed recipe, who says that it is of the right lock."""
    copy = Path(shutil.copytree(recipe, home / "recipe"))
    change(copy)
    write_lock(copy)
    made = run(copy, home).folder
    told = json.loads((lock / "bundle.json").read_bytes())["lock"]["sha256"]
    forge(made, lambda document: msgspec.structs.replace(document, lock=type(document.lock)(sha256=Digest.parse(told))))
    return made


def test_a_backdoor_is_named_by_its_path_and_its_first_bytes(
    recipe: Path, built: Path, second: Path, tmp_path: Path
) -> None:
    def backdoor(folder: Path) -> None:
        source = folder / "src/tool.c"
        source.write_text(source.read_text().replace('"tool "', '"evil "'))

    made = other_bundle(recipe, tmp_path, built, backdoor)
    with pytest.raises(SealiftError, match="something else from the same lock") as caught:
        run(recipe, second, against=made, other_builder=True)
    said = str(caught.value)
    assert f"{RUNTIME}: byte " in said
    assert re.search(r"layer 1: bin/tool: content \(\d+ and \d+ bytes\), byte \d+: ours .+, theirs ", said), said
    assert "resolvedDependencies.folder:src" in said and "sbom" not in said, "what follows is no news"
    assert "layer 2" not in said, "the other layers are the same"


def test_a_changed_mode_and_a_file_too_many_are_named(recipe: Path, built: Path, second: Path, tmp_path: Path) -> None:
    def more(folder: Path) -> None:
        (folder / "images.yaml").write_text((folder / "images.yaml").read_text() + "    - notes: /etc\n")

    made = other_bundle(recipe, tmp_path, built, more)
    with pytest.raises(SealiftError) as caught:
        run(recipe, second, against=made)
    assert "ours has 3 layers, theirs 4" in str(caught.value)
    stray = Path(shutil.copytree(built, tmp_path / "stray"))
    (stray / "images/extra.tar").write_bytes(b"")
    with pytest.raises(SealiftError, match=r"images/extra\.tar: only theirs has it"):
        run(recipe, second, against=stray)


def rewritten(bundle: Path, change: Callable[[Any], object], name: str = "provenance.json") -> None:
    """Changes a document of the bundle, and index and sums with it."""
    document = json.loads((bundle / name).read_bytes())
    change(document)
    data = jsontext.encode_canonical(document)
    (bundle / name).write_bytes(data)

    def relist(index: BundleIndex) -> BundleIndex:
        files = [
            msgspec.structs.replace(file, size=len(data), sha256=Digest.of(data)) if file.path == name else file
            for file in index.files
        ]
        return msgspec.structs.replace(index, files=files)

    forge(bundle, relist)


def without_sandbox(document: Any) -> None:
    parameters = document["predicate"]["buildDefinition"]["internalParameters"]
    parameters["sandbox"] = "none" if parameters["sandbox"] != "none" else "network namespace"
    parameters["tools"]["gcc"] = "gcc=99.1"


def test_bundles_that_differ_in_their_builders_alone_are_explained_and_not_signed(
    recipe: Path, bundle: Path, second: Path
) -> None:
    rewritten(bundle, without_sandbox)
    with pytest.raises(SealiftError, match="every archive is the same") as caught:
        run(recipe, second, against=bundle)
    said = str(caught.value)
    assert "internalParameters.sandbox: ours" in said and "internalParameters.tools.gcc: ours" in said
    assert "gcc=99.1" in said and "--other-builder" in said and "bundle.json" not in said


def test_another_builders_machine_may_be_accepted_and_is_not_vouched_for(
    recipe: Path, bundle: Path, second: Path
) -> None:
    """The signature covers the bundle as it is; the second builder's provenance is of the second builder's machine."""
    rewritten(bundle, without_sandbox)
    sign_bundle(bundle, policies.key("release"), progress=SilentProgress())
    confirmed = run(recipe, second, against=bundle, other_builder=True).confirmed
    assert confirmed is not None
    key = policies.key("builder")
    sign_bundle(bundle, key, progress=SilentProgress(), expected=confirmed.index, own=confirmed.own)
    two_of_three(bundle, attestations=[{"type": SLSA_PROVENANCE, "signers": ["release", "builder"], "threshold": 2}])
    path = bundle / f"provenance.{key.public.short}.sigstore.json"
    said = statement.decode(dsse.verify(path.read_bytes(), key.public, where=path), where=path)
    assert "99.1" not in json.dumps(said.predicate)
    assert "99.1" in (bundle / "provenance.json").read_text()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["predicate"]["buildDefinition"]["resolvedDependencies"].pop(),
        lambda d: d["predicate"]["buildDefinition"]["externalParameters"].update(more="x"),
        lambda d: d.update(predicateType="https://example.org/other"),
        lambda d: d["subject"].pop(),
        lambda d: d["subject"].pop(0),
    ],
)
def test_a_provenance_that_names_other_sources_is_no_matter_of_the_builder(
    recipe: Path, bundle: Path, second: Path, change: Callable[[Any], object]
) -> None:
    rewritten(bundle, without_sandbox)
    rewritten(bundle, change)
    with pytest.raises(SealiftError, match="something else from the same lock"):
        run(recipe, second, against=bundle, other_builder=True)


def test_an_index_that_says_something_else_over_the_same_archives_is_not_signed(
    recipe: Path, bundle: Path, second: Path
) -> None:
    rewritten(bundle, without_sandbox)
    forge(bundle, lambda document: msgspec.structs.replace(document, charts=[], sequence=9))
    with pytest.raises(SealiftError) as caught:
        run(recipe, second, against=bundle, other_builder=True)
    assert "bundle.json: sequence: ours 1, theirs 9" in str(caught.value)
    assert "bundle.json: charts" in str(caught.value)


def test_a_bundle_of_another_lock_is_told_in_the_first_second(recipe: Path, bundle: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(recipe, tmp_path / "recipe"))
    (other / "notes.txt").write_text("another\n")
    write_lock(other)
    with pytest.raises(RecipeError, match="built from another lock"):
        run(other, tmp_path, against=bundle)
    assert not (tmp_path / "store/receipts").exists() or not any((tmp_path / "store/receipts").iterdir())


def test_a_bundle_swapped_after_the_comparison_is_not_signed(recipe: Path, bundle: Path, second: Path) -> None:
    confirmed = run(recipe, second, against=bundle).confirmed
    assert confirmed is not None
    forge(bundle, lambda document: msgspec.structs.replace(document, sequence=9))
    with pytest.raises(FormatError, match="changed while it was read"):
        sign_bundle(bundle, policies.key("builder"), progress=SilentProgress(), expected=confirmed.index)
    assert not list(bundle.glob("*.sig*"))


@pytest.mark.parametrize("damage", ["flipped", "cut", "no archive", "layer flipped"])
def test_a_damaged_bundle_is_a_difference_and_no_crash(recipe: Path, bundle: Path, built: Path, damage: str) -> None:
    path = bundle / RUNTIME
    size = path.stat().st_size
    match damage:
        case "flipped":
            flip(path, 600)
        case "cut":
            os.truncate(path, size // 2)
        case "no archive":
            path.write_bytes(b"not a tar")
        case "layer flipped":
            flip(path, size - 5000)
    found = compare(built, bundle)
    assert not found.same_content and any(RUNTIME in str(one) for one in found.differences)


@pytest.mark.parametrize("words", [[], ["--output", "o", "--against", "b"], ["--output", "o", "--signer", "exec:x"]])
def test_half_of_what_must_be_said_is_wrong_usage(recipe: Path, words: list[str], tmp_path: Path) -> None:
    done = subprocess.run([SEALIFT, "build", recipe, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
