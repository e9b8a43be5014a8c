"""Documents of whole builds: listed, the same again, honest about the sandbox, and not written for nothing."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from builder import build as building
from builder.build import BuildOptions, Built, build
from builder.describe import documents
from builder.progress import SilentTalk
from builder.sandbox import NONE, Sandbox
from builder.store import Store
from bundles.digest import Digest
from tests.support.recipes import tiny_recipe
from tests.support.stepping import AMD64

NAMES = ("provenance.json", "sbom.cdx.json", "sbom.spdx.json")


def run(recipe: Path, top: Path, output: str) -> Built:
    return build(
        recipe,
        BuildOptions(
            output=top / output, store=Store(top / "store"), talk=SilentTalk(), host=AMD64, env=os.environ, jobs=2
        ),
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tiny_recipe(tmp_path / "recipe")


def said(built: Built) -> Any:
    return json.loads((built.folder / "provenance.json").read_bytes())["predicate"]["buildDefinition"]


def test_the_documents_of_a_build_are_listed_and_name_what_it_made(recipe: Path, tmp_path: Path) -> None:
    built = run(recipe, tmp_path, "out")
    files = {file.path: file for file in built.index.files}
    for name in NAMES:
        data = (built.folder / name).read_bytes()
        assert (files[name].size, files[name].sha256) == (len(data), Digest.of(data))
    bill = json.loads((built.folder / "sbom.cdx.json").read_bytes())
    keys = {each["bom-ref"]: each for each in bill["components"]}
    assert {"program:tool/tool", "file:notes/notes.txt", "chart:rke2-one", "tool:gcc"} <= keys.keys()
    assert keys["program:tool/tool"]["version"] == "1.2.3"
    assert {"name": "sealift:path", "value": "/bin/tool"} in keys["program:tool/tool"]["properties"]
    libc = next(key for key in keys if key.startswith("deb:libc6-dev="))
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert libc in needs["program:tool/tool"] and not any("tool:gcc" in every for every in needs.values())


def test_a_program_made_without_a_sandbox_is_told_for_ever(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a later build that has a sandbox and takes the program from the store."""
    inside = run(recipe, tmp_path / "other", "out")

    def none(env: object) -> Sandbox:
        return NONE

    with monkeypatch.context() as without:
        without.setattr(building, "detect", none)
        first = run(recipe, tmp_path, "out")
    second = run(recipe, tmp_path, "again")
    sandboxes = [said(each)["internalParameters"]["sandbox"] for each in (inside, first, second)]
    assert sandboxes == ["network namespace", "none", "none"]
    assert inside.index != first.index == second.index


def test_an_unchanged_bundle_is_not_described_again(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(recipe, tmp_path, "out")

    def never(*arguments: object) -> dict[str, bytes]:
        raise AssertionError("described again")

    monkeypatch.setattr(documents, "describe", never)
    assert not run(recipe, tmp_path, "out").written


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_document_is_noticed_and_written_again(recipe: Path, tmp_path: Path, name: str) -> None:
    built = run(recipe, tmp_path, "out")
    want = (built.folder / name).read_bytes()
    (built.folder / name).write_bytes(want.replace(b"tiny", b"tini"))
    assert run(recipe, tmp_path, "out").written and (built.folder / name).read_bytes() == want


def test_licences_that_are_not_in_the_store_are_read_again_without_compiling(recipe: Path, tmp_path: Path) -> None:
    built = run(recipe, tmp_path, "out")
    want = (built.folder / "sbom.spdx.json").read_bytes()
    shutil.rmtree(built.folder)
    for receipt in (tmp_path / "store/steps").glob("*.json"):
        if "licen" in receipt.read_text() or '"source":""' in receipt.read_text():
            receipt.unlink()
    assert (run(recipe, tmp_path, "out").folder / "sbom.spdx.json").read_bytes() == want
