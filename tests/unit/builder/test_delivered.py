"""What is delivered again is written again only where it changed, and what somebody touched is not trusted."""

import json
import os
from pathlib import Path

import pytest

from builder.build import BuildOptions, Built, build
from builder.progress import SilentTalk
from builder.store import Store
from bundles.errors import FormatError
from bundles.platform import Platform
from bundles.trust import Trust
from bundles.verify import verify_bundle
from tests.support.recipes import BUNDLE, IMAGES, tiny_recipe, write_lock

RUNTIME, CORE = "images/rke2-runtime.linux-amd64.tar", "images/rke2-images-core.linux-amd64.tar"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Two archives: the tool is in the runtime's, the notes are in both."""
    folder = tiny_recipe(tmp_path / "recipe", lock=False)
    archives = "  rke2-runtime: [rke2-runtime]\n"
    (folder / "bundle.yaml").write_text(BUNDLE.replace(archives, f"{archives}  rke2-images-core: [other]\n"))
    other = "other:\n  name: rancher/other:v1\n  layers:\n    - extra: /share\n"
    (folder / "images.yaml").write_text(IMAGES + other)
    (folder / "components.yaml").write_text((folder / "components.yaml").read_text() + "extra:\n  file: ./extra.txt\n")
    (folder / "extra.txt").write_text("more\n" * 20_000)
    write_lock(folder)
    return folder


def run(recipe: Path, home: Path, output: str = "out", *, replace: bool = False) -> Built:
    options = BuildOptions(
        output=home / output,
        store=Store(home / "store"),
        talk=SilentTalk(),
        host=Platform.parse("linux/amd64"),
        env=os.environ,
        replace=replace,
    )
    return build(recipe, options)


def change_notes(recipe: Path) -> None:
    (recipe / "notes.txt").write_text("changed\n")
    write_lock(recipe)


def test_a_replaced_bundle_keeps_the_archives_that_did_not_change(recipe: Path, tmp_path: Path) -> None:
    folder = run(recipe, tmp_path).folder
    before = {name: (folder / name).stat() for name in (RUNTIME, CORE)}
    change_notes(recipe)
    run(recipe, tmp_path, replace=True)
    after = {name: (folder / name).stat() for name in (RUNTIME, CORE)}
    assert after[CORE].st_ino == before[CORE].st_ino and after[CORE].st_nlink == 1
    assert after[RUNTIME].st_ino != before[RUNTIME].st_ino
    verify_bundle(folder, Trust(kind="insecure"))
    elsewhere = run(recipe, tmp_path, "elsewhere").folder
    for name in (RUNTIME, CORE, "bundle.json"):
        assert (folder / name).read_bytes() == (elsewhere / name).read_bytes()


def test_an_archive_that_somebody_touched_is_written_anew(recipe: Path, tmp_path: Path) -> None:
    folder = run(recipe, tmp_path).folder
    with (folder / CORE).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\1")
    damaged = (folder / CORE).stat().st_ino
    change_notes(recipe)
    run(recipe, tmp_path, replace=True)
    assert (folder / CORE).stat().st_ino != damaged
    verify_bundle(folder, Trust(kind="insecure"))


def test_an_archive_in_another_files_place_is_written_anew(recipe: Path, tmp_path: Path) -> None:
    folder = run(recipe, tmp_path).folder
    found = (folder / CORE).stat()
    (tmp_path / "other").write_bytes(bytes(found.st_size))
    os.utime(tmp_path / "other", ns=(found.st_atime_ns, found.st_mtime_ns))
    (tmp_path / "other").replace(folder / CORE)
    change_notes(recipe)
    run(recipe, tmp_path, replace=True)
    verify_bundle(folder, Trust(kind="insecure"))


def test_a_blob_damaged_in_the_store_is_not_delivered_although_its_layer_was_read_before(
    recipe: Path, tmp_path: Path
) -> None:
    folder = run(recipe, tmp_path).folder
    want = (folder / "bundle.json").read_bytes()
    facts = [json.loads(path.read_bytes())["facts"] for path in (tmp_path / "store/steps").iterdir()]
    parts = [part for fact in facts if "layer" in fact for part in fact["layer"]["parts"]]
    for digest, _, _ in parts:
        blob = tmp_path / "store/blobs/sha256" / digest.removeprefix("sha256:")
        blob.chmod(0o644)
        blob.write_bytes(bytes(blob.stat().st_size))
    for name in (RUNTIME, CORE):
        os.utime(folder / name)
    with pytest.raises(FormatError):
        run(recipe, tmp_path, replace=True)
    assert (folder / "bundle.json").read_bytes() == want
    verify_bundle(folder, Trust(kind="insecure"))


def test_a_damaged_note_costs_time_and_nothing_else(recipe: Path, tmp_path: Path) -> None:
    folder = run(recipe, tmp_path).folder
    want = (folder / "bundle.json").read_bytes()
    (note,) = (tmp_path / "store/bundles").iterdir()
    for text in ('{"spec":1}\n', "[]\n", '{"archives":[[]],"files":{},"spec":"","target":""}\n', "half"):
        note.write_text(text)
        run(recipe, tmp_path)
        assert (folder / "bundle.json").read_bytes() == want
