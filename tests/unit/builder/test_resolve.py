"""Locks: made from sources, stable while nothing moves, refused when content changes under one version."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from builder.errors import RecipeError
from builder.lock.model import Lock
from builder.lock.text import read_lock
from builder.recipe.model import CompileComponent, Component, FileComponent, FolderChart, GoComponent
from builder.resolve import resolve, write
from bundles.errors import MissingError
from tests.support.golab import APP, TOOLCHAIN, GoLab

CHART = "apiVersion: v2\nname: web\nversion: 1.2.3\n"


@pytest.fixture
def lab(tmp_path: Path) -> GoLab:
    return GoLab(tmp_path)


def locked(lab: GoLab, now: int = 1000) -> Lock:
    resolution = resolve(lab.recipe(), None, lab.resolving(now))
    write(resolution, lab.root / "recipe")
    return resolution.lock


def test_a_go_component_is_pinned_by_modules_made_beside_the_recipe(lab: GoLab) -> None:
    lock = locked(lab)
    folder = lab.root / "recipe/go/app"
    assert sorted(path.name for path in folder.iterdir()) == ["go.mod", "go.sum", "tools.go"]
    text = (folder / "go.mod").read_text()
    assert "module sealift.build/app\n\ngo 1.22.0\n" in text, "the go line is upstream's own"
    assert "example.test/lib/alpha => example.test/lib/alpha v1.0.0" in text
    assert "example.test/lib/beta =>" not in text, "only modules that have the version are replaced"
    (entry,) = lock.inputs
    assert entry.source == "go:example.test/app@v1.2.0" and entry.h1 is not None and entry.sum is not None
    assert (entry.sum.folder, entry.sum.modules) == ("go/app", 2)
    assert [tool.source for tool in lock.tools] == [f"go-toolchain:{TOOLCHAIN}"]
    assert read_lock(lab.root / "recipe") == lock


def test_what_no_checksum_database_vouched_for_is_named(lab: GoLab) -> None:
    (entry,) = locked(lab).inputs
    assert entry.sum is not None
    assert entry.sum.unverified == ("example.test/app", "example.test/lib/alpha")


def test_an_unchanged_lock_keeps_its_epoch_and_asks_nobody(lab: GoLab) -> None:
    lock = locked(lab, now=1000)
    (lab.programs.folder / "go").unlink()
    (lab.root / "proxy").rename(lab.root / "elsewhere")
    again = resolve(lab.recipe(), lock, lab.resolving(2000))
    assert (again.changed, again.lock, again.files) == (False, lock, {})


def test_refreshing_resolves_again_and_finds_nothing_new(lab: GoLab) -> None:
    lock = locked(lab)
    again = resolve(lab.recipe(), lock, lab.resolving(2000, refresh=True))
    assert not again.changed and again.lock == lock


def test_other_content_under_the_same_version_is_refused(lab: GoLab) -> None:
    lock = locked(lab)
    changed = lab.recipe({"app": replace(APP, stamps={"main.version": "x"})})
    with pytest.raises(RecipeError, match="the version stays"):
        resolve(changed, lock, lab.resolving(2000))
    assert resolve(changed, lock, lab.resolving(2000, same_version=True)).lock.epoch == 2000
    raised = resolve(replace(changed, version="v1.0.1"), lock, lab.resolving(3000))
    assert (raised.changed, raised.lock.epoch, raised.lock.bundle) == (True, 3000, "lab@v1.0.1")


def test_a_wrapper_that_says_something_else_is_made_anew(lab: GoLab) -> None:
    lock = locked(lab)
    more = lab.recipe({"app": replace(APP, packages={"app": "cmd/app", "tool": "cmd/tool"})}, version="v1.1.0")
    resolution = resolve(more, lock, lab.resolving(2000))
    tools = resolution.files[PurePosixPath("go/app/tools.go")].decode()
    assert '_ "example.test/app/cmd/tool"' in tools
    assert '_ "example.test/app/cmd/tool"' not in (lab.root / "recipe/go/app/tools.go").read_text(), (
        "nothing written yet"
    )
    assert resolution.lock.inputs[0].sum is not None and resolution.lock.inputs[0].sum.modules == 3


def test_a_go_sum_that_is_not_what_is_served_is_refused(lab: GoLab) -> None:
    locked(lab)
    path = lab.root / "recipe/go/app/go.sum"
    lines = path.read_text().splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("example.test/lib/alpha v1.0.0 h1:"))
    lines[at] = "example.test/lib/alpha v1.0.0 h1:" + "A" * 43 + "="
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(RecipeError, match=r"go\.sum is not what is served"):
        resolve(lab.recipe(), None, lab.resolving(2000))


def test_a_pattern_that_matches_nothing_and_a_version_nobody_serves_are_told_apart(lab: GoLab) -> None:
    with pytest.raises(RecipeError, match="matches `replace: other"):
        resolve(lab.recipe({"app": replace(APP, replace={"other/*": "v1.0.0"})}), None, lab.resolving(1))
    with pytest.raises(MissingError, match=r"has version v7\.0\.0"):
        resolve(lab.recipe({"app": replace(APP, replace={"example.test/lib/*": "v7.0.0"})}), None, lab.resolving(1))


def test_a_module_that_nobody_serves_is_named(lab: GoLab) -> None:
    recipe = lab.recipe({"app": replace(APP, version="v9.0.0")})
    with pytest.raises(Exception, match=r"example\.test/app@v9\.0\.0 cannot be fetched"):
        resolve(recipe, None, lab.resolving(1))


def test_sources_beside_the_recipe_are_pinned_by_digest(lab: GoLab) -> None:
    lab.write("src/pause/pause.c", "int main(void) { return 0; }\n")
    lab.write("files/motd", "hello\n")
    lab.write("charts/web/Chart.yaml", CHART)
    components: dict[str, Component] = {
        "pause": CompileComponent(
            name="pause", source="./src/pause", version="1", run=(), output={"pause": PurePosixPath("pause")}
        ),
        "motd": FileComponent(name="motd", path=PurePosixPath("files/motd")),
    }
    chart = FolderChart(name="web", folder=PurePosixPath("charts/web"))
    recipe = replace(lab.recipe(components), charts={"web": chart}, go=None)
    lock = resolve(recipe, None, lab.resolving(1)).lock
    assert [entry.source for entry in lock.inputs] == ["file:files/motd", "folder:src/pause"]
    assert [(chart.name, chart.version) for chart in lock.charts] == [("web", "1.2.3")]
    lab.write("src/pause/pause.c", "int main(void) { return 1; }\n")
    with pytest.raises(RecipeError, match="the version stays"):
        resolve(recipe, lock, lab.resolving(2))


def test_a_chart_is_called_as_the_recipe_calls_it(lab: GoLab) -> None:
    lab.write("charts/web/Chart.yaml", CHART)
    chart = FolderChart(name="other", folder=PurePosixPath("charts/web"))
    with pytest.raises(RecipeError, match="called as its key"):
        resolve(replace(lab.recipe({}), charts={"other": chart}, go=None), None, lab.resolving(1))


def test_sources_of_c_may_come_in_a_go_module(lab: GoLab) -> None:
    source = "go-source:example.test/app@v1.2.0"
    output = {"hello": PurePosixPath("hello")}
    component = CompileComponent(name="hello", source=source, version="v1.2.0", run=(), output=output)
    (entry,) = resolve(replace(lab.recipe({"hello": component}), go=None), None, lab.resolving(1)).lock.inputs
    assert entry.source == source and entry.h1 == locked(lab).inputs[0].h1


def test_a_module_beside_the_recipe_is_pinned_by_its_folder_and_its_own_go_sum(lab: GoLab) -> None:
    lab.write("src/mine/go.mod", "module example.test/mine\n\ngo 1.22.0\n\nrequire example.test/lib/beta v0.1.0\n")
    main = 'package main\n\nimport "example.test/lib/beta"\n\nfunc main() { println(beta.Word) }\n'
    lab.write("src/mine/main.go", main)
    tool = replace(APP, packages={"tool": "cmd/tool"})  # needs the same module: its go.sum has the lines
    made = resolve(lab.recipe({"app": tool}), None, lab.resolving(1)).files[PurePosixPath("go/app/go.sum")].decode()
    sums = [line for line in made.splitlines() if line.startswith("example.test/lib/beta ")]
    lab.write("src/mine/go.sum", "\n".join(sums) + "\n")
    folder = PurePosixPath("src/mine")
    component = GoComponent(name="mine", module=None, version="", folder=folder, packages={"mine": ""})
    (entry,) = resolve(lab.recipe({"mine": component}), None, lab.resolving(1)).lock.inputs
    assert entry.source == "folder:src/mine" and entry.digest is not None
    assert entry.sum is not None and (entry.sum.folder, entry.sum.modules) == ("src/mine", 1)


def test_a_module_beside_the_recipe_that_requires_nothing_is_pinned_too(lab: GoLab) -> None:
    lab.write("src/alone/go.mod", "module example.test/alone\n\ngo 1.22.0\n")
    lab.write("src/alone/main.go", "package main\n\nfunc main() {}\n")
    lab.write("src/alone/go.sum", "")
    component = GoComponent(
        name="alone", module=None, version="", folder=PurePosixPath("src/alone"), packages={"alone": ""}
    )
    (entry,) = resolve(lab.recipe({"alone": component}), None, lab.resolving(1)).lock.inputs
    assert entry.sum is not None and entry.sum.modules == 0
