"""A whole build of a tiny recipe with the real compiler: same bytes, nothing twice, nothing half, clear refusals."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.build import BuildOptions, Built, build
from builder.errors import RecipeError, StepError
from builder.progress import SilentTalk
from builder.store import Store
from bundles.errors import SealiftError
from bundles.platform import Platform
from tests.support.recipes import BUNDLE, tiny_recipe, write_lock


class Talk(SilentTalk):
    """Remembers what was said and which steps ran."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ran: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def begin(self, step: str, seconds: int) -> None:
        self.ran.append(step)


def run(recipe: Path, output: Path, store: Path, *, jobs: int = 2, replace: bool = False) -> tuple[Built, Talk]:
    talk = Talk()
    options = BuildOptions(
        output=output,
        store=Store(store),
        talk=talk,
        host=Platform.parse("linux/amd64"),
        env=os.environ,
        jobs=jobs,
        replace=replace,
    )
    return build(recipe, options), talk


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tiny_recipe(tmp_path / "recipe")


def test_the_same_bytes_for_1_2_and_8_workers_from_cold_stores(recipe: Path, tmp_path: Path) -> None:
    built = [run(recipe, tmp_path / f"out{n}", tmp_path / f"store{n}", jobs=n)[0] for n in (1, 2, 8)]
    assert contents(built[0].folder) == contents(built[1].folder) == contents(built[2].folder) != {}


def test_the_plan_comes_first_and_a_second_build_runs_nothing_and_writes_nothing(recipe: Path, tmp_path: Path) -> None:
    first, talk = run(recipe, tmp_path / "out", tmp_path / "store")
    assert talk.said[0].startswith("plan: tiny v1.0.0") and len(talk.ran) == 9
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    second, talk = run(recipe, tmp_path / "out", tmp_path / "store")
    assert not talk.ran and not second.written and second.folder == first.folder
    assert {path: path.stat().st_mtime_ns for path in second.folder.rglob("*")} == before


def test_a_deleted_bundle_comes_back_from_the_store_without_a_step(recipe: Path, tmp_path: Path) -> None:
    first, _ = run(recipe, tmp_path / "out", tmp_path / "store")
    want = contents(first.folder)
    subprocess.run(["rm", "-r", first.folder], check=True)
    second, talk = run(recipe, tmp_path / "out", tmp_path / "store")
    assert second.written and not talk.ran and contents(second.folder) == want


def test_a_damaged_bundle_is_noticed_and_replaced_by_the_same_bytes(recipe: Path, tmp_path: Path) -> None:
    first, _ = run(recipe, tmp_path / "out", tmp_path / "store")
    want = contents(first.folder)
    archive = first.folder / "images/rke2-runtime.linux-amd64.tar"
    archive.write_bytes(archive.read_bytes()[:-1] + b"\1")
    second, _ = run(recipe, tmp_path / "out", tmp_path / "store")
    assert second.written and contents(second.folder) == want


def test_other_content_under_the_same_version_is_refused_before_anything_runs(recipe: Path, tmp_path: Path) -> None:
    first, _ = run(recipe, tmp_path / "out", tmp_path / "store")
    want = contents(first.folder)
    (recipe / "notes.txt").write_text("changed\n")
    write_lock(recipe)
    with pytest.raises(RecipeError, match="version exists already") as caught:
        run(recipe, tmp_path / "out", tmp_path / "store")
    assert "--replace" in caught.value.hint and contents(first.folder) == want
    replaced, _ = run(recipe, tmp_path / "out", tmp_path / "store", replace=True)
    assert replaced.written and contents(replaced.folder) != want


def test_only_what_changed_is_built_again(recipe: Path, tmp_path: Path) -> None:
    run(recipe, tmp_path / "out", tmp_path / "store")
    (recipe / "notes.txt").write_text("changed\n")
    (recipe / "bundle.yaml").write_text(BUNDLE.replace("v1.0.0", "v1.0.1"))
    write_lock(recipe)
    _, talk = run(recipe, tmp_path / "out", tmp_path / "store")
    assert sorted(talk.ran) == ["component notes", "image rke2-runtime", "layer rke2-runtime 2"]


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("notes.txt", "other\n", "component notes: notes.txt changed"),
        ("src/tool.c", "int main;\n", "component tool: src changed"),
        ("charts/one/values.yaml", "a: 1\n", "chart one: charts/one changed"),
        ("bundle.yaml", BUNDLE.replace("sequence: 1", "sequence: 2"), "an option of the recipe changed"),
    ],
)
def test_a_stale_lock_is_refused_with_the_difference(
    recipe: Path, tmp_path: Path, name: str, text: str, word: str
) -> None:
    (recipe / name).write_text(text)
    with pytest.raises(RecipeError, match=word):
        run(recipe, tmp_path / "out", tmp_path / "store")
    assert not (tmp_path / "out").exists()


def test_a_failed_step_names_itself_and_its_log_and_leaves_no_bundle(recipe: Path, tmp_path: Path) -> None:
    (recipe / "src/tool.c").write_text("int main(void) { return undeclared; }\n")
    write_lock(recipe)
    with pytest.raises(StepError) as caught:
        run(recipe, tmp_path / "out", tmp_path / "store")
    assert "undeclared" in str(caught.value) and ".log" in str(caught.value)
    assert not list((tmp_path / "out").glob("*"))


def test_a_program_that_is_not_static_is_refused(recipe: Path, tmp_path: Path) -> None:
    text = (recipe / "components.yaml").read_text()
    (recipe / "components.yaml").write_text(text.replace("-static ", ""))
    write_lock(recipe)
    with pytest.raises(StepError, match="not static: it needs the loader"):
        run(recipe, tmp_path / "out", tmp_path / "store")


def test_a_program_without_its_version_is_refused(recipe: Path, tmp_path: Path) -> None:
    (recipe / "src/tool.c").write_text("int main(void) { return 0; }\n")
    write_lock(recipe)
    with pytest.raises(StepError, match=r"version 1\.2\.3 is nowhere in it"):
        run(recipe, tmp_path / "out", tmp_path / "store")


def test_a_bundle_above_its_budget_is_not_written_and_says_what_grew(recipe: Path, tmp_path: Path) -> None:
    (recipe / "bundle.yaml").write_text(BUNDLE + "budget: 10 kB\n")
    write_lock(recipe)
    with pytest.raises(SealiftError, match="larger than its budget") as caught:
        run(recipe, tmp_path / "out", tmp_path / "store")
    assert "rancher/rke2-runtime layer 1" in caught.value.hint
    assert not list((tmp_path / "out").glob("*"))


def test_a_step_cannot_reach_a_network(recipe: Path, tmp_path: Path) -> None:
    text = (recipe / "components.yaml").read_text()
    (recipe / "components.yaml").write_text(
        text.replace("run: [gcc", "run: ['! grep -v lo: /proc/net/dev | grep :', gcc")
    )
    write_lock(recipe)
    run(recipe, tmp_path / "out", tmp_path / "store")


def test_a_killed_build_goes_on_where_it_was(recipe: Path, tmp_path: Path) -> None:
    """kill -9 of the whole process while a step waits: nothing half-named, and finished steps are not run again."""
    text = (recipe / "components.yaml").read_text()
    waiting = tmp_path / "waiting"
    (recipe / "components.yaml").write_text(
        text.replace("run: [gcc", f"run: ['test -e {waiting} || {{ touch {waiting}; sleep 300; }}', gcc")
    )
    write_lock(recipe)
    command: list[str | Path] = [Path(sys.executable).parent / "sealift", "build", recipe, "--output", tmp_path / "out"]
    process = subprocess.Popen([*command, "--store", tmp_path / "store"], stderr=subprocess.DEVNULL)
    for _ in range(600):
        # All that does not need the waiting step: notes, the chart, a layer of each.
        if waiting.exists() and len(list((tmp_path / "store/steps").glob("*.json"))) == 4:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "out").glob("[!.]*"))
    built, talk = run(recipe, tmp_path / "out", tmp_path / "store")
    assert built.written and "component tool" in talk.ran and "component notes" not in talk.ran
