"""Go steps with the real toolchain: static, stamped, the same bytes everywhere, nothing from a network."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from builder.errors import StepError
from builder.lock.model import LockedInput, LockedSum, LockedTool
from builder.plan.model import Receipt, Step, content_id
from builder.recipe.model import Fips, GoComponent
from builder.sources.go import read_wrapper
from builder.sources.gomod import files_digest
from builder.steps import go
from builder.store import Store
from builder.tree import folder_digest
from tests.support.stepping import AMD64, a_recipe, go_version, run_job, store_with_go, write_tree

TOOLCHAIN = LockedTool(source=f"go-toolchain:{go_version()}", h1="h1:any", size=1)
STAMPED = 'package main\n\nvar Version, Note = "unset", ""\n\nfunc main() { println("here", Version, Note) }\n'
HASHING = 'package main\n\nimport "crypto/sha256"\n\nfunc main() { println(sha256.Sum256([]byte("x"))[0]) }\n'
WITH_C = 'package main\n\n// int seven(void) { return 7; }\nimport "C"\n\nfunc main() { println(C.seven()) }\n'
APP = GoComponent(
    name="app",
    module=None,
    version="v1.4.0",
    folder=PurePosixPath("src/app"),
    packages={"one": "cmd/one", "two": "cmd/two", "main": ""},
    stamps={"main.Version": "v1.4.0", "main.Note": "with a 'blank"},
)
FILES = {
    "go.mod": "module example.test/app\n\ngo 1.24\n",
    "main.go": STAMPED,
    "cmd/one/main.go": STAMPED,
    "cmd/two/main.go": STAMPED,
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_with_go(tmp_path / "store")


def sources(folder: Path, files: dict[str, str]) -> Path:
    write_tree(folder / "src/app", files)
    return folder


def build(component: GoComponent, folder: Path, store: Store, *, fips: Fips = Fips.OFF, go_line: str = "") -> Receipt:
    recipe = a_recipe(folder, component, go=go_line or go_version(), fips=fips)
    locked = LockedInput(component="app", source="folder:src/app", digest=folder_digest(folder / "src/app"))
    return run_job(go.describe(component, locked, recipe, AMD64, TOOLCHAIN, {}), recipe, store)


def test_all_programs_of_a_module_are_static_stamped_and_stripped(tmp_path: Path, store: Store) -> None:
    receipt = build(APP, sources(tmp_path, FILES), store)
    assert set(receipt.outputs) == {"one", "two", "main"}
    for name, output in receipt.outputs.items():
        facts = receipt.facts["programs"][name]
        assert output.mode == 0o755
        assert facts["elf"] == {
            "bits": 64, "machine": "amd64", "type": "executable", "static": True, "stripped": True
        }  # fmt: skip
        assert facts["version"] == "v1.4.0"
        assert facts["go"]["crypto"] == "off"
        assert facts["go"]["settings"]["-tags"] == "netgo,osusergo"
        assert b"with a 'blank" in store.read(output.digest)


def test_other_folder_store_and_number_of_jobs_give_the_same_bytes(tmp_path: Path, store: Store) -> None:
    first = build(APP, sources(tmp_path / "a", FILES), store)
    second = build(APP, sources(tmp_path / "elsewhere/deeper", FILES), store_with_go(tmp_path / "another store"))
    assert first == second


@pytest.mark.parametrize("fips", Fips)
def test_the_crypto_that_the_recipe_asks_for_is_in_the_bytes(tmp_path: Path, store: Store, fips: Fips) -> None:
    component = replace(APP, packages={"main": ""}, stamps={})
    receipt = build(component, sources(tmp_path, {**FILES, "main.go": HASHING}), store, fips=fips)
    facts = receipt.facts["programs"]["main"]
    assert facts["go"]["crypto"] == str(fips)
    assert facts["elf"]["static"]


def test_programs_with_c_in_them_are_static_too(tmp_path: Path, store: Store) -> None:
    component = replace(APP, packages={"main": ""}, stamps={}, cgo=True)
    facts = build(component, sources(tmp_path, {**FILES, "main.go": WITH_C}), store).facts["programs"]["main"]
    assert facts["elf"]["static"]
    assert facts["go"]["settings"]["CGO_ENABLED"] == "1"


def test_a_stamp_that_hits_nothing_is_noticed(tmp_path: Path, store: Store) -> None:
    component = replace(APP, stamps={"main.Versoin": "v1.4.0"})
    with pytest.raises(StepError) as caught:
        build(component, sources(tmp_path, FILES), store)
    for name in ("one", "two", "main"):
        assert f"{name}: its version v1.4.0 is nowhere in it" in str(caught.value)


def test_a_toolchain_of_another_version_than_its_name_is_noticed(tmp_path: Path) -> None:
    store = store_with_go(tmp_path / "store", "1.30.1")
    with pytest.raises(StepError, match=rf"compiled by go{go_version()}, not by go1\.30\.1"):
        build(APP, sources(tmp_path, FILES), store, go_line="1.30.1")


def test_a_module_that_was_not_fetched_is_not_fetched_now(tmp_path: Path, store: Store) -> None:
    files = {
        **FILES,
        "go.mod": "module example.test/app\n\ngo 1.24\n\nrequire example.test/far v1.0.0\n",
        "go.sum": f"example.test/far v1.0.0 h1:{'A' * 43}=\nexample.test/far v1.0.0/go.mod h1:{'A' * 43}=\n",
        "main.go": 'package main\n\nimport _ "example.test/far"\n\nfunc main() {}\n',
    }
    with pytest.raises(StepError, match="GOPROXY=off"):
        build(APP, sources(tmp_path, files), store)


def test_code_that_does_not_compile_is_shown_with_its_line(tmp_path: Path, store: Store) -> None:
    with pytest.raises(StepError, match=r"main\.go:3:\d+: undefined: nothing") as caught:
        build(APP, sources(tmp_path, {**FILES, "main.go": "package main\n\nfunc main() { nothing() }\n"}), store)
    assert "component app" in str(caught.value) and "log: " in str(caught.value)


def test_sources_that_changed_since_the_lock_are_refused(tmp_path: Path, store: Store) -> None:
    folder = sources(tmp_path, FILES)
    recipe = a_recipe(folder, APP, go=go_version())
    locked = LockedInput(component="app", source="folder:src/app", digest=folder_digest(folder / "src/app"))
    job = go.describe(APP, locked, recipe, AMD64, TOOLCHAIN, {})
    (folder / "src/app/extra.go").write_text("package main\n")
    with pytest.raises(StepError, match="changed since it was locked"):
        run_job(job, recipe, store)


def test_a_go_sum_that_changed_since_the_lock_is_refused(tmp_path: Path, store: Store) -> None:
    wrapper = {"go.mod": "module sealift.build/app\n\ngo 1.24\n", "go.sum": "", "tools.go": "package tools\n"}
    folder = write_tree(tmp_path / "go/app", wrapper)
    component = replace(APP, module="example.test/app", folder=None)
    recipe = a_recipe(tmp_path, component, go=go_version())
    pinned = LockedSum(folder="go/app", digest=files_digest(read_wrapper(folder)), modules=1)
    locked = LockedInput(component="app", source="go:example.test/app@v1.4.0", h1="h1:any", sum=pinned)
    job = go.describe(component, locked, recipe, AMD64, TOOLCHAIN, {})
    (folder / "go.sum").write_text("\n")
    with pytest.raises(StepError, match="differs from the lock"):
        run_job(job, recipe, store)


def described(component: GoComponent = APP, *, folder: str = "/r", gcc: str = "12", fips: Fips = Fips.OFF) -> Step:
    recipe = a_recipe(Path(folder), component, go=go_version(), fips=fips)
    locked = LockedInput(component="app", source="folder:src/app")
    return go.describe(component, locked, recipe, AMD64, TOOLCHAIN, {"gcc": gcc}).step


def test_the_content_id_knows_what_decides_bytes_and_nothing_else() -> None:
    base = content_id(described(), {})
    assert content_id(described(folder="/elsewhere"), {}) == base
    assert content_id(described(gcc="13"), {}) == base  # no C in it
    changed = [
        described(replace(APP, stamps={"main.Version": "v1.4.1"})),
        described(replace(APP, tags=("extra",))),
        described(replace(APP, packages={"one": "cmd/one"})),
        described(fips=Fips.GO_NATIVE),
        described(replace(APP, packages={"one": "example.test/other/cmd"})),  # its module's hash is kept
        described(replace(APP, cgo=True)),
        described(replace(APP, cgo=True), gcc="13"),
    ]
    assert len({content_id(step, {}) for step in changed} | {base}) == len(changed) + 1


@pytest.mark.parametrize(
    ("version", "stamps", "wanted"),
    [
        ("v1.34.4", {"a.gitVersion": "v1.34.4", "a.gitMajor": "1"}, "v1.34.4"),
        ("v1.3.4", {"main.version": "1.3.4"}, "1.3.4"),
        ("v1.3.4", {"main.note": "clean"}, ""),
        ("", {"main.note": "clean"}, ""),
    ],
)
def test_the_version_looked_for_is_the_one_that_is_stamped(version: str, stamps: dict[str, str], wanted: str) -> None:
    assert go.stamped_version(replace(APP, version=version, stamps=stamps)) == wanted
