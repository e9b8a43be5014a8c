"""C steps with the real compiler, in an environment of their own."""

import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from builder.errors import StepError
from builder.lock.model import LockedFile, LockedInput
from builder.plan.model import Receipt, content_id
from builder.recipe.model import CompileComponent
from builder.steps import compile
from builder.store import Store
from builder.tree import folder_digest
from bundles.digest import Digest
from bundles.errors import FormatError
from tests.support.stepping import AMD64, EPOCH, STATIC_PROGRAM, a_recipe, run_job, sandbox, write_tree

BUILD = """gcc -Os -static -s -DVERSION='"v1.2.3"' -o tool tool.c"""
TOOL = CompileComponent(
    name="tool", source="./src", version="v1.2.3", run=(BUILD,), output={"tool": PurePosixPath("tool")}
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def build(folder: Path, store: Store, component: CompileComponent = TOOL, **files: str) -> Receipt:
    write_tree(folder / "src", {"tool.c": STATIC_PROGRAM, **files})
    locked = LockedInput(component="tool", source="folder:src", digest=folder_digest(folder / "src"))
    return run_job(compile.describe(component, locked, EPOCH, AMD64, {}), a_recipe(folder, component), store)


def test_a_static_program_is_kept_with_its_facts(tmp_path: Path, store: Store) -> None:
    receipt = build(tmp_path, store)
    output = receipt.outputs["tool"]
    assert output.mode == 0o755 and store.has(output.digest, output.size)
    assert receipt.facts["programs"]["tool"]["version"] == "v1.2.3"


def test_a_dynamic_program_is_refused_by_what_it_needs(tmp_path: Path, store: Store) -> None:
    component = replace(TOOL, run=(BUILD.replace("-static ", ""),))
    with pytest.raises(StepError) as caught:
        build(tmp_path, store, component)
    assert "tool: it is not static: it needs the loader /lib64/ld-linux-x86-64.so.2" in str(caught.value)
    assert "tool: it is not static: it needs libc.so.6" in str(caught.value)


def test_a_dynamic_program_is_kept_where_the_recipe_allows_it(tmp_path: Path, store: Store) -> None:
    component = replace(TOOL, run=(BUILD.replace("-static ", ""),), static=False)
    facts = build(tmp_path, store, component).facts["programs"]["tool"]
    assert facts["elf"]["needed"] == ["libc.so.6"]


def test_other_folders_give_the_same_bytes(tmp_path: Path, store: Store) -> None:
    other = Store(tmp_path / "some/other store")
    assert build(tmp_path / "a", store) == build(tmp_path / "another/place", other)


def test_a_program_that_holds_a_path_of_this_machine_is_refused(tmp_path: Path, store: Store) -> None:
    leaking = r'gcc -Os -static -s -DVERSION="\"$PWD v1.2.3\"" -o tool tool.c'
    with pytest.raises(StepError, match="the path of its build folder is in it"):
        build(tmp_path, store, replace(TOOL, run=(leaking,)))


def test_commands_see_a_clean_room(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setenv("CFLAGS", "-g")
    room = (
        'test -z "$SECRET$CFLAGS"',
        f'test "$LC_ALL $TZ $SOURCE_DATE_EPOCH" = "C UTC {EPOCH}"',
        'test "$(umask)" = 0022',
        f'test "$(stat -c %Y tool.c)" = {EPOCH}',
        'test -w tool.c && test "$(readlink /proc/self/fd/0)" = /dev/null',
        BUILD,
    )
    build(tmp_path, store, replace(TOOL, run=room))


def test_commands_have_no_network(tmp_path: Path, store: Store) -> None:
    if not sandbox().isolated:
        pytest.skip("this machine allows no network namespace")
    alone = 'test -z "$(grep -E "^ *(eth|en|wl)" /proc/net/dev)"'
    build(tmp_path, store, replace(TOOL, run=(alone, BUILD)))


def test_a_failing_command_stops_the_step_and_is_shown(tmp_path: Path, store: Store) -> None:
    with pytest.raises(StepError, match="no such thing") as caught:
        build(tmp_path, store, replace(TOOL, run=("echo no such thing >&2; false; true", BUILD)))
    assert "component tool" in str(caught.value) and "exit code 1" in str(caught.value)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("true", "the build did not make it"),
        ("ln -s /bin/true tool", "outside the source folder"),
        ("ln -s tool.c tool", "the build did not make it"),
        ("echo hello > tool", "not an ELF program"),
        (BUILD.replace("v1.2.3", "v0.0.0"), "version v1.2.3 is nowhere in it"),
    ],
)
def test_outputs_are_looked_at(tmp_path: Path, store: Store, command: str, words: str) -> None:
    run = (command, ": -DVERSION=v1.2.3")
    with pytest.raises(StepError, match=words):
        build(tmp_path, store, replace(TOOL, run=run if "v0.0.0" not in command else tuple(reversed(run))))


def test_sources_that_changed_since_the_lock_are_refused(tmp_path: Path, store: Store) -> None:
    locked = LockedInput(component="tool", source="folder:src", digest=Digest.of(b"other"))
    write_tree(tmp_path / "src", {"tool.c": STATIC_PROGRAM})
    with pytest.raises(StepError, match="changed since it was locked"):
        run_job(compile.describe(TOOL, locked, EPOCH, AMD64, {}), a_recipe(tmp_path, TOOL), store)


def test_sources_of_a_go_module_are_compiled_from_the_module_cache(tmp_path: Path, store: Store) -> None:
    module = store.go_mod / "example.test/!capital@v1.0.0"
    write_tree(module, {"csrc/tool.c": STATIC_PROGRAM})
    (module / "csrc/tool.c").chmod(0o444)
    (module / "csrc").chmod(0o555)
    component = replace(
        TOOL,
        source="go-source:example.test/Capital@v1.0.0",
        run=(f"cd csrc; {BUILD}; echo >> tool.c",),
        output={"tool": PurePosixPath("csrc/tool")},
    )
    locked = LockedInput(component="tool", source=component.source, h1="h1:any")
    receipt = run_job(compile.describe(component, locked, EPOCH, AMD64, {}), a_recipe(tmp_path, component), store)
    assert set(receipt.outputs) == {"tool"}
    assert (module / "csrc/tool.c").read_text() == STATIC_PROGRAM  # the cache is not the place of work


@pytest.fixture(scope="session")
def debian_source(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A Debian source package, 3.0 (quilt), whose patch makes the program say its version."""
    top = tmp_path_factory.mktemp("debian")
    folder = write_tree(top / "tool-1.2.3", {"tool.c": STATIC_PROGRAM.replace("VERSION", '"none"')})
    orig = ["tar", "--create", "--gzip", "--file=tool_1.2.3.orig.tar.gz", folder.name]
    subprocess.run(orig, cwd=top, check=True)
    patch = "--- a/tool.c\n+++ b/tool.c\n@@ -1,2 +1,2 @@\n #include <stdio.h>\n-{}+{}".format(
        *(line.splitlines(keepends=True)[1] for line in (STATIC_PROGRAM.replace("VERSION", '"none"'), STATIC_PROGRAM))
    )
    stanza = "Source: tool\nMaintainer: A <a@example.test>\nStandards-Version: 4.6.0\n\nPackage: tool\n"
    write_tree(
        folder / "debian",
        {
            "source/format": "3.0 (quilt)\n",
            "control": stanza + "Architecture: any\nDescription: a tool\n",
            "changelog": "tool (1.2.3-4) stable; urgency=low\n\n  * A.\n\n -- A <a@example.test>  Thu, 01 Jan 2026 00:00:00 +0000\n",  # noqa: E501
            "patches/series": "version.patch\n",
            "patches/version.patch": patch,
            "rules": "#!/bin/sh\n",
        },
    )
    write_tree(folder, {"tool.c": STATIC_PROGRAM.replace("VERSION", '"none"')})
    subprocess.run(["dpkg-source", "--before-build", folder.name], cwd=top, check=True)
    subprocess.run(["dpkg-source", "-b", folder.name], cwd=top, check=True)
    return sorted(path for path in top.iterdir() if path.is_file())


def debian_job(store: Store, files: list[Path]) -> tuple[CompileComponent, LockedInput]:
    locked = []
    for path in files:
        output = store.put_file(path)
        locked.append(LockedFile(name=path.name, size=output.size, digest=output.digest))
    component = replace(TOOL, source="deb-source:tool=1.2.3-4", version="1.2.3-4")
    source = "deb-source:stable/tool=1.2.3-4"
    return component, LockedInput(component="tool", source=source, files=tuple(locked))


def test_a_debian_source_is_unpacked_with_its_patches(tmp_path: Path, store: Store, debian_source: list[Path]) -> None:
    component, locked = debian_job(store, debian_source)
    job = compile.describe(component, locked, EPOCH, AMD64, {})
    receipt = run_job(job, a_recipe(tmp_path, component), store)
    assert receipt.facts["programs"]["tool"]["version"] == "1.2.3"


def test_a_source_that_rotted_in_the_store_is_not_compiled(
    tmp_path: Path, store: Store, debian_source: list[Path]
) -> None:
    component, locked = debian_job(store, debian_source)
    blob = store.path(locked.files[0].digest)
    blob.chmod(0o644)
    blob.write_bytes(b"x" + blob.read_bytes()[1:])
    with pytest.raises(FormatError, match="damaged in the store"):
        run_job(compile.describe(component, locked, EPOCH, AMD64, {}), a_recipe(tmp_path, component), store)


@pytest.mark.parametrize(
    ("source", "version", "run", "wanted"),
    [
        ("deb-source:socat=1.7.4.4-2", "1.7.4.4-2", "make", "1.7.4.4"),
        ("deb-source:x=2:1.0-rc-3", "2:1.0-rc-3", "make", "1.0-rc"),
        ("deb-source:native=7", "7", "make", "7"),
        ("./src", "0.1.0", "gcc -DVERSION=0.1.0 -o x x.c", "0.1.0"),
        ("go-source:a@v1", "v1", 'gcc -DVERSION="v3.10.1" x.c', "v3.10.1"),
        ("./src", "0.1.0", "gcc x.c", ""),
    ],
)
def test_the_version_looked_for_is_the_one_that_is_stamped(source: str, version: str, run: str, wanted: str) -> None:
    assert compile.stamped_version(replace(TOOL, source=source, version=version, run=(run,))) == wanted


def test_another_compiler_is_another_step() -> None:
    locked = LockedInput(component="tool", source="folder:src", digest=Digest.of(b""))
    ids = {
        content_id(compile.describe(TOOL, locked, epoch, AMD64, {"gcc": gcc}).step, {})
        for gcc in ("12.2", "12.3")
        for epoch in (EPOCH, EPOCH + 1)
    }
    assert len(ids) == 4
