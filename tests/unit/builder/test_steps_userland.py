"""Userlands: what is named, all that it needs to run, dpkg's record of it, and nothing else."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from builder.errors import StepError
from builder.lock.fresh import same_packages
from builder.lock.model import LockedFile, LockedInput
from builder.plan.model import Receipt, content_id
from builder.recipe.model import Placement, UserlandComponent
from builder.steps import layer, userland
from builder.store import Store
from bundles.errors import FormatError
from bundles.layers.model import LayerEntry
from tests.support.stepping import AMD64, a_recipe, run_job, write_tree

LIB = "usr/lib/x86_64-linux-gnu"
APP = UserlandComponent(name="app", packages=("app=1-1",), files=("usr/bin/app",))
Packages = Mapping[str, bytes]


def package(top: Path, name: str, build: str = "", **files: str) -> bytes:
    """A package with text files and what the shell lines `build` make in its root."""
    control = f"Package: {name}\nVersion: 1-1\nArchitecture: amd64\nMaintainer: A <a@example.test>\nDescription: a b\n"
    root = write_tree(top / name, {"DEBIAN/control": control, **files})
    subprocess.run(["sh", "-ec", build], cwd=root, check=True, env={"PATH": os.environ["PATH"], "TOP": str(top)})
    target = top / f"{name}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return target.read_bytes()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    top = tmp_path_factory.mktemp("packages")
    write_tree(
        top, {"one.c": "int one(void) { return 1; }\n", "app.c": "int one(void); int _start(void) { return one(); }\n"}
    )
    shared = f"mkdir -p {LIB}; gcc -s -shared -nostdlib -Wl,-soname,libone.so.1 -o {LIB}/libone.so.1.2 $TOP/one.c"
    loader = "-Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2"
    linked = f"mkdir -p usr/bin; gcc -s -nostdlib {loader} -o usr/bin/app $TOP/app.c $TOP/libone1/{LIB}/libone.so.1.2"
    below = "lib64/ld-linux-x86-64.so.2"
    return {
        "libone1": package(top, "libone1", f"{shared}; ln -s libone.so.1.2 {LIB}/libone.so.1", unused="x"),
        "app": package(top, "app", f"{linked}; ln -s app usr/bin/app2; ln -s ../gone usr/bin/lost; mkdir -m 1777 tmp",
                       **{"usr/share/doc/app/copyright": "free\n", "usr/share/app/a.txt": "a\n",
                          "usr/share/app/b.txt": "b\n", "usr/share/app/deeper/c.txt": "c\n"}),
        "libc6": package(top, "libc6", f"mkdir -p lib64 lib; echo > lib/ld.so; ln -s ../lib/ld.so {below}"),
        "libc7": package(top, "libc7", f"mkdir -p usr/lib64; echo > usr/{below}"),
    }  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def locked(store: Store, packages: Packages, *names: str) -> tuple[LockedInput, ...]:
    return tuple(
        LockedInput(
            component="app",
            source=f"deb:stable/{name}=1-1",
            files=(LockedFile(name=f"{name}.deb", size=len(packages[name]), digest=store.put(packages[name])),),
        )
        for name in names
    )


def take(store: Store, packages: Packages, component: UserlandComponent = APP, *names: str) -> Receipt:
    inputs = locked(store, packages, *(names or ("app", "libone1", "libc6")))
    return run_job(userland.describe(component, inputs, AMD64), a_recipe(Path("/nowhere"), component), store)


def test_a_program_comes_with_its_libraries_its_loader_and_its_licence(packages: Packages, store: Store) -> None:
    receipt = take(store, packages)
    status = [f"var/lib/dpkg/status.d/{name}" for name in ("app", "libc6", "libone1")]
    files = ["lib/ld.so", "usr/bin/app", f"{LIB}/libone.so.1.2", "usr/share/doc/app/copyright"]
    assert sorted(receipt.outputs) == sorted(files + status)
    assert receipt.facts["links"] == {
        "lib64/ld-linux-x86-64.so.2": "../lib/ld.so",
        f"{LIB}/libone.so.1": "libone.so.1.2",
    }
    assert receipt.outputs["usr/bin/app"].mode == 0o755
    assert receipt.facts["packages"] == {"app": "1-1", "libc6": "1-1", "libone1": "1-1"}


def test_scanners_find_what_dpkg_would_call_installed(packages: Packages, store: Store) -> None:
    text = store.read(take(store, packages).outputs["var/lib/dpkg/status.d/app"].digest).decode()
    assert text.startswith("Package: app\nStatus: install ok installed\nVersion: 1-1\n") and text.endswith("a b\n")


def test_a_loader_that_lies_below_usr_gets_a_link(packages: Packages, store: Store) -> None:
    receipt = take(store, packages, APP, "app", "libone1", "libc7")
    assert receipt.facts["links"]["lib64/ld-linux-x86-64.so.2"] == "../usr/lib64/ld-linux-x86-64.so.2"
    assert "usr/lib64/ld-linux-x86-64.so.2" in receipt.outputs


def test_patterns_take_one_level_and_folders_come_empty(packages: Packages, store: Store) -> None:
    component = replace(APP, files=("usr/share/app/*.txt", "tmp/"))
    receipt = take(store, packages, component, "app")
    assert {path for path in receipt.outputs if "/app/" in path} == {
        "usr/share/app/a.txt", "usr/share/app/b.txt", "usr/share/doc/app/copyright"
    }  # fmt: skip
    assert receipt.facts["folders"] == {"tmp": 0o1777}


def test_links_lead_to_the_file_from_wherever_they_lie(packages: Packages, store: Store) -> None:
    component = replace(APP, files=("usr/share/app/a.txt",), links={"usr/share/app/a.txt": ("z.txt", "/etc/z")})
    links = take(store, packages, component, "app").facts["links"]
    assert links == {"usr/share/app/z.txt": "a.txt", "etc/z": "../usr/share/app/a.txt"}


@pytest.mark.parametrize(
    ("files", "links", "names", "words"),
    [
        (["usr/bin/app"], {}, ["app", "libc6"], "usr/bin/app needs libone.so.1, which is in none"),
        (["usr/bin/app"], {}, ["app", "libone1"], "needs the loader /lib64/ld-linux-x86-64.so.2, which is in none"),
        (["usr/bin/nothing"], {}, ["app"], "usr/bin/nothing is in none of the packages"),
        (["usr/lib/*.so"], {}, ["app"], r"usr/lib/\*.so is in none"),
        (["usr/bin/lost"], {}, ["app"], "usr/bin/lost leads to usr/gone, which is in none"),
        (["tmp/"], {"usr/bin/app": ("x",)}, ["app"], "links lead to usr/bin/app, which is not among the files"),
        (["usr/share/app/*.txt"], {"usr/share/app/a.txt": ("b.txt",)}, ["app"], "a link and a file at usr/share/app/b"),
    ],
)
def test_what_is_missing_is_named(
    packages: Packages, store: Store, files: list[str], links: dict[str, tuple[str, ...]], names: list[str], words: str
) -> None:
    with pytest.raises(StepError, match=words):
        take(store, packages, replace(APP, files=tuple(files), links=links), *names)


def test_special_files_and_circles_are_refused(tmp_path: Path, store: Store) -> None:
    made = {"app": package(tmp_path, "app", "mkfifo pipe; ln -s b a; ln -s a b")}
    for path in ("pipe", "a"):
        component = replace(APP, files=(path,))
        if path == "pipe":
            with pytest.raises(FormatError, match="not a file, folder or link"):
                take(store, made, component, "app")
        else:  # each link is taken once: nothing hangs, and the kernel will say what they are
            assert take(store, made, component, "app").facts["links"] == {"a": "b", "b": "a"}


def test_programs_for_other_machines_are_refused(packages: Packages, store: Store, tmp_path: Path) -> None:
    build = f"mkdir -p usr/bin; cp {tmp_path}/foreign usr/bin/app"
    content = bytearray(store.read(take(store, packages).outputs["usr/bin/app"].digest))
    content[18:20] = (183).to_bytes(2, "little")  # e_machine: AArch64
    (tmp_path / "foreign").write_bytes(content)
    made = {**packages, "app": package(tmp_path, "app", build)}
    with pytest.raises(StepError, match="usr/bin/app: it is for ELF machine 183"):
        take(store, made)


def test_a_layer_holds_links_and_folders_beside_files(packages: Packages, store: Store) -> None:
    component = replace(APP, files=("usr/share/app/a.txt", "tmp/"), links={"usr/share/app/a.txt": ("/etc/z",)})
    placement = Placement(component="app", output=None, folder=PurePosixPath("/"))
    found = {
        e.path: e for e in layer.placed((placement,), {"component app": take(store, packages, component, "app")}, ())
    }
    assert found["etc/z"] == LayerEntry(path="etc/z", kind="symlink", mode=0o777, target="../usr/share/app/a.txt")
    assert found["tmp"] == LayerEntry(path="tmp", kind="dir", mode=0o1777)
    assert found["usr/share/app/a.txt"].kind == "file"


def test_two_userlands_may_share_a_folder_but_no_file(packages: Packages, store: Store) -> None:
    one = take(store, packages, replace(APP, files=("tmp/",)), "app")
    other = Receipt(outputs={}, facts={"links": {"usr/bin/x": "y"}, "folders": {"tmp": 0o1777}})
    root = PurePosixPath("/")
    both = tuple(Placement(component=name, output=None, folder=root) for name in ("one", "other"))
    assert len(layer.placed(both, {"component one": one, "component other": other}, ())) == 4
    with pytest.raises(StepError, match="at one path"):
        layer.placed(both, {"component one": other, "component other": other}, ())


def test_another_package_is_another_step(packages: Packages, store: Store) -> None:
    ids = {
        content_id(userland.describe(APP, locked(store, packages, *names), AMD64).step, {})
        for names in (["app"], ["app", "libc6"], ["app", "libc7"])
    }
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("sources", "same"),
    [
        (["app=1-1"], True),
        (["app=1-1", "libone1=2"], True),
        (["app=1-2"], False),
        (["libone1=2"], False),
        (["app=1-1", "other=2"], False),
    ],
)
def test_a_lock_fits_when_it_has_the_named_packages_and_libraries(sources: list[str], same: bool) -> None:
    entries = [LockedInput(component="app", source=f"deb:stable/{source}") for source in sources]
    assert same_packages(APP, entries) == same
