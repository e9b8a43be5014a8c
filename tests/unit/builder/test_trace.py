"""`sealift why BUNDLE`: from a byte to component, content id, and the lines of recipe and lock that decide it."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from builder.cli import run
from builder.trace.trace import trace
from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.locate import frame_at, frames_over
from bundles.pack import pack
from bundles.packages import SBOM
from tests.support.recipes import tiny_recipe
from tests.support.recording_build import run_build


def sealift(*words: object, code: int = 0) -> str:
    """The command's words on both streams."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        assert run([*map(str, words)]) == code, said.getvalue()
    return said.getvalue()


FRAMES = [(10, 100), (20, 100), (5, 50)]


def test_a_range_of_content_is_stored_in_the_frames_over_it() -> None:
    assert frames_over(FRAMES, 0, 100) == (0, 0, 0, 10)
    assert frames_over(FRAMES, 99, 101) == (0, 1, 0, 30)
    assert frames_over(FRAMES, 200, 201) == (2, 2, 30, 35)
    assert frames_over(FRAMES, 100, 100) == (1, 1, 10, 30)  # an empty file: where it would begin


def test_a_stored_byte_stands_for_the_content_of_its_frame() -> None:
    assert [frame_at(FRAMES, offset) for offset in (0, 9, 10, 34, 35)] == [
        (0, 0, 100), (0, 0, 100), (1, 100, 200), (2, 200, 250), (-1, 250, 250),
    ]  # fmt: skip


class World:
    """A recipe and the bundle that was built from it."""

    def __init__(self, folder: Path) -> None:
        self.recipe = tiny_recipe(folder / "recipe")
        self.bundle = run_build(self.recipe, folder)
        self.document = index.decode((self.bundle / index.INDEX_NAME).read_bytes())
        self.lock = (self.recipe / "lock.yaml").read_text().splitlines()

    def why(self, *words: object, code: int = 0) -> str:
        return sealift("why", self.bundle, *words, code=code)

    def found(self, *words: object) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = json.loads(self.why(*words, "--json"))["files"]
        return files

    def line(self, row: dict[str, str]) -> str:
        """The text of the line that a row names."""
        name, _, number = row["where"].partition(":")
        return (self.recipe / name).read_text().splitlines()[int(number) - 1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


def test_a_file_is_followed_to_its_component_and_what_that_was_made_from(world: World) -> None:
    (file,) = world.found("rke2-runtime:/bin/tool")
    assert file["part"]["component"] == "tool" and file["part"]["version"] == "1.2.3"
    made = {row["how"]: row["what"] for row in file["part"]["made"]}
    assert made["made from"].startswith("source:folder:src") and "sealiftTree:" in made["made from"]
    assert "tool:gcc" in " ".join(row["what"] for row in file["part"]["made"] if row["how"] == "built with")
    assert "lines" in file and not file["lines"]  # no recipe was given


def test_with_its_recipe_the_lines_and_the_content_id_are_told(world: World, tmp_path: Path) -> None:
    (file,) = world.found("/bin/tool", "--recipe", world.recipe)
    texts = [world.line(row) for row in file["lines"]]
    assert "tool: /bin" in texts[0] and texts[1].startswith("tool:") and "component: tool" in texts[2]
    assert [row["where"].partition(":")[0] for row in file["lines"]][:3] == [
        "images.yaml", "components.yaml", "lock.yaml",
    ]  # fmt: skip
    plan = json.loads(sealift("plan", world.recipe, "--store", tmp_path, "--json"))
    steps = {step["name"]: step["id"] for step in plan["steps"]}
    assert file["step"] == {"name": "component tool", "id": steps["component tool"]}


def test_a_chart_and_a_file_beside_the_recipe_are_followed_too(world: World) -> None:
    (chart,) = world.found("/charts/rke2-one.yaml", "--recipe", world.recipe)
    assert chart["step"]["name"] == "chart one" and world.line(chart["lines"][-1]).startswith("- {name: one")
    (notes,) = world.found("/share/notes.txt", "--recipe", world.recipe)
    assert notes["part"]["component"] == "notes" and "component: notes" in world.line(notes["lines"][-1])


def test_every_byte_of_an_archive_is_something(world: World) -> None:
    """Headers, documents, frames, seek tables, padding: nothing is unknown, and a file's bytes lead to the file."""
    (archive,) = world.document.archives
    seen = set()
    for offset in [*range(0, archive.size, 997), archive.size - 1]:
        said = json.loads(world.why(archive.path, "--offset", offset, "--json"))
        seen |= {file["path"] for file in said["files"]} | {said["byte"]["what"].partition(" of ")[0]}
    assert {"/bin/tool", "padding, or the end"} <= seen
    (tool,) = world.found("/bin/tool")
    for offset in (tool["stored"]["first"], tool["stored"]["end"] - 1):
        said = json.loads(world.why(archive.path, "--offset", offset, "--json"))
        assert "/bin/tool" in {file["path"] for file in said["files"]}


def test_a_byte_of_a_program_has_a_frame_and_a_section(world: World) -> None:
    (file,) = world.found("/bin/tool", "--offset", 0)
    assert file["at"]["section"] == "ELF header"
    assert file["stored"]["first"] <= file["at"]["stored"]["first"] < file["at"]["stored"]["end"]
    assert "no such byte" in world.why("/bin/tool", "--offset", file["size"], code=2)


def test_a_packed_bundle_tells_the_same(world: World, tmp_path: Path) -> None:
    pack(world.bundle, tmp_path / "one.sealift")
    assert sealift("why", tmp_path / "one.sealift", "/bin/tool") == world.why("/bin/tool")


def test_what_is_not_there_is_said(world: World, tmp_path: Path) -> None:
    assert "no such path" in world.why("/bin/nothing", code=1)
    assert "no such image" in world.why("other:/bin/tool", code=1)
    assert "--offset" in world.why(world.document.archives[0].path, code=2)
    assert "not a place in a bundle" in world.why("tool", code=2)
    other = tiny_recipe(tmp_path / "other")
    (other / "lock.yaml").write_text((other / "lock.yaml").read_text().replace("epoch: 1", "epoch: 2"))
    assert "built from another lock" in world.why("/bin/tool", "--recipe", other, code=2)


def test_documents_that_are_not_ours_are_an_error_and_no_traceback(world: World, tmp_path: Path) -> None:
    """A bundle of somebody else: its SBOM says anything at all, and bundle.json lists it."""
    for text in (
        b'{"components":[1]}',
        b'{"components":{"a":1}}',
        b"[]",
        b'{"components":[{"bom-ref":"program:a/b"}]}',
    ):
        folder = tmp_path / str(len(text))
        shutil.copytree(world.bundle, folder)
        (folder / SBOM).write_bytes(text)
        said = msgspec.structs.replace(world.document.files[0], path=SBOM, size=len(text), sha256=Digest.of(text))
        files = [said if each.path == SBOM else each for each in world.document.files]
        document = msgspec.structs.replace(world.document, files=files)
        (folder / index.INDEX_NAME).write_bytes(index.encode(document))
        try:
            assert trace(folder, "/bin/tool", None, None).files[0].part is None
        except FormatError as exc:
            assert "sealift writes" in str(exc) or "JSON" in str(exc)
