"""A recipe that derives from another one: whole entries, the right file in every complaint, nothing from elsewhere."""

import os
import shutil
from pathlib import Path

import pytest

from builder.lock.text import read_lock
from builder.recipe.digest import recipe_digest
from builder.recipe.places import beside
from builder.recipe.read import read_recipe
from bundles.errors import ProblemsError
from tests.support.recipes import COMPONENTS, IMAGES, tiny_recipe

DERIVED = "sealift: 1\nbase: ../tiny\nflavour: modern\n"
RECIPES = Path(__file__).resolve().parents[3] / "recipes"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_recipe(tmp_path / "tiny")


@pytest.fixture
def derived(base: Path) -> Path:
    return write(base.parent / "derived", {"bundle.yaml": DERIVED})


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def complaint(folder: Path) -> str:
    with pytest.raises(ProblemsError) as caught:
        read_recipe(folder)
    return str(caught.value)


def test_what_a_derived_recipe_does_not_write_is_its_bases(base: Path, derived: Path) -> None:
    one, two = read_recipe(base), read_recipe(derived)
    assert (two.name, two.version, two.archives) == (one.name, one.version, one.archives)
    assert two.components == one.components and two.charts == one.charts
    assert (one.tag, two.tag) == ("v1.0.0-classic", "v1.0.0")
    assert (one.base, two.base) == (None, base)


def test_an_entry_replaces_the_whole_one_and_nothing_deeper_is_merged(derived: Path) -> None:
    write(derived, {"components.yaml": "tool:\n  file: ./notes.txt\n"})
    tool = read_recipe(derived).components["tool"]
    assert tool.outputs == ("notes.txt",), "neither needs nor commands of the base's entry are left"
    write(derived, {"components.yaml": "tool:\n  needs: [gcc]\n"})
    assert "components.yaml:1:tool: no key says the kind" in complaint(derived)


def test_the_digest_is_that_of_the_result_written_out(base: Path, derived: Path) -> None:
    images = IMAGES.replace("    - notes: /share\n", "")
    write(derived, {"images.yaml": images})
    alone = shutil.copytree(base, base.parent / "elsewhere")
    text = (base / "bundle.yaml").read_text() + "flavour: modern\n"
    components = COMPONENTS[COMPONENTS.index("tool:") :]
    write(alone, {"bundle.yaml": text, "images.yaml": images, "components.yaml": components})
    assert recipe_digest(read_recipe(derived)) == recipe_digest(read_recipe(alone))
    (derived / "images.yaml").unlink()
    assert recipe_digest(read_recipe(derived)) != recipe_digest(read_recipe(alone))


def test_only_what_was_inherited_is_left_out_without_a_word(derived: Path) -> None:
    write(derived, {"images.yaml": "unused:\n  name: a/b:c\n  layers:\n    - tool: /bin\n"})
    assert "images.yaml:1:unused: in no archive" in complaint(derived)
    write(derived, {"images.yaml": IMAGES, "components.yaml": "more:\n  file: ./notes.txt\n"})
    assert "components.yaml:1:more: no image holds" in complaint(derived)


def test_what_nothing_uses_of_the_base_is_left_out(derived: Path) -> None:
    write(
        derived,
        {
            "bundle.yaml": DERIVED + "charts: []\n",
            "images.yaml": "rke2-runtime:\n  name: rancher/rke2-runtime\n  layers: [{tool: /bin}]\n",
        },
    )
    recipe = read_recipe(derived)
    assert list(recipe.components) == ["tool"] and not recipe.charts


def test_files_are_the_derived_recipes_own_where_it_has_them(base: Path, derived: Path) -> None:
    write(derived, {"notes.txt": "read me too\n"})
    recipe = read_recipe(derived)
    assert beside(recipe, "notes.txt") == derived / "notes.txt"
    assert beside(recipe, "charts/one") == base / "charts/one"
    assert beside(recipe, "go/new") == derived / "go/new", "what is nowhere yet is made in its own folder"


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("../tiny/components.yaml", COMPONENTS.replace("./src", "./scr"), "../tiny/components.yaml:4:tool.compile: no"),
        (
            "../tiny/components.yaml",
            COMPONENTS.replace("run:", "runs:"),
            "../tiny/components.yaml:7:tool.runs: unknown",
        ),
        ("../tiny/images.yaml", IMAGES.replace("tool: /bin", "tol: /bin"), "../tiny/images.yaml:4:rke2-runtime.layers"),
        ("../tiny/image.yaml", "x: 1\n", "../tiny/image.yaml is no file of a recipe"),
        ("components.yaml", "tool:\n  file: ./none\n", "components.yaml:2:tool.file: no file none"),
        ("bundle.yaml", DERIVED + "runtime: x\n", "bundle.yaml:4:runtime: the runtime image x is not in images.yaml"),
        ("bundle.yaml", "base: ../tiny\n", "bundle.yaml:1:sealift: the key is missing"),
        ("bundle.yaml", DERIVED + "archives: {a: [b]}\n", "bundle.yaml:4:archives.a.0: no image b"),
    ],
)
def test_a_complaint_names_the_file_that_is_wrong(derived: Path, file: str, text: str, says: str) -> None:
    write(derived, {file: text})
    assert says in complaint(derived)


@pytest.mark.parametrize(
    "text",
    ["/etc", "..", "../..", "../../tiny", "../tiny/../x", "./tiny", "tiny", "../.tiny", "../tiny/sub", "'../ti\tny'"],
)
def test_a_base_that_climbs_or_is_no_sibling_is_refused(derived: Path, text: str) -> None:
    write(derived, {"bundle.yaml": DERIVED.replace("../tiny", text)})
    assert "bundle.yaml:2:base: want ../FOLDER" in complaint(derived)


def test_a_recipe_is_not_its_own_base_nor_is_a_loop_followed(base: Path, derived: Path) -> None:
    write(derived, {"bundle.yaml": DERIVED.replace("tiny", "derived")})
    assert "bundle.yaml:2:base: a recipe cannot be its own base" in complaint(derived)
    write(derived, {"bundle.yaml": DERIVED})
    write(base, {"bundle.yaml": DERIVED.replace("tiny", "derived")})
    assert "../tiny/bundle.yaml:2:base: a base stands for itself" in complaint(derived)
    third = write(base.parent / "third", {"bundle.yaml": DERIVED.replace("tiny", "derived")})
    assert "../derived/bundle.yaml:2:base: a base stands for itself" in complaint(third)


def test_a_base_that_is_not_there_is_a_problem_of_its_line(derived: Path) -> None:
    write(derived, {"bundle.yaml": DERIVED.replace("tiny", "tyni")})
    found = complaint(derived)
    assert "bundle.yaml:2:base: no recipe ../tyni" in found and "tiny" in found
    assert "images.yaml" not in found, "what cannot be known without it is not complained about"


def test_a_base_behind_a_symlink_is_refused(base: Path, derived: Path, tmp_path: Path) -> None:
    os.symlink(base, tmp_path / "link")
    write(derived, {"bundle.yaml": DERIVED.replace("tiny", "link")})
    assert "../link is a symlink" in complaint(derived)


def test_a_file_of_the_base_that_leads_out_of_it_is_refused(base: Path, derived: Path, tmp_path: Path) -> None:
    shutil.move(base / "src", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", base / "src")
    assert "../tiny/components.yaml:4:tool.compile: src leads out of the recipe's folder" in complaint(derived)


def test_the_base_is_found_from_wherever_the_recipe_is_named(derived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = recipe_digest(read_recipe(derived))
    monkeypatch.chdir(derived)
    assert recipe_digest(read_recipe(Path())) == digest
    monkeypatch.chdir(derived.parent)
    assert recipe_digest(read_recipe(Path("derived"))) == digest


def test_the_modern_recipe_puts_the_seven_programs_of_rke2_into_bin_and_says_the_stock_tag() -> None:
    recipe = read_recipe(RECIPES / "rke2-v1.34-modern")
    runtime = recipe.images[recipe.runtime]
    placed: list[str] = []
    for placement in (one for layer in runtime.layers for one in layer if str(one.folder) == "/bin"):
        placed += [placement.output] if placement.output else recipe.components[placement.component].outputs
    assert sorted(placed) == ["containerd", "containerd-shim-runc-v2", "crictl", "ctr", "kubectl", "kubelet", "runc"]
    assert str(runtime.reference).endswith(f"rancher/rke2-runtime:{recipe.version}")
    assert "socat" not in recipe.components


def test_the_modern_lock_pins_what_its_base_pins_and_differs_in_containerd_alone() -> None:
    base, modern = (read_lock(RECIPES / name) for name in ("rke2-v1.34", "rke2-v1.34-modern"))
    assert modern.epoch == base.epoch and modern.tools == base.tools
    names = {each.component for each in modern.inputs}
    assert {name for name in names if modern.of(name) != base.of(name)} == {"containerd"}
    assert {each.component for each in base.inputs} - names <= {"socat"}
