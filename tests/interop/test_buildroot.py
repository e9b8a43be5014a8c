"""The build root for real: nothing of the machine is seen in it, and nothing of the machine moves a byte.

C and cgo programs are compiled inside Debian's packages, with a machine around them that lies wherever it can.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from builder.buildroot import enter
from builder.buildroot.model import package_of
from builder.buildroot.room import WORK, Bound, Room, environment
from builder.lock.model import LockedInput, LockedTool
from builder.lock.text import read_lock
from builder.plan.model import Receipt
from builder.process import Completed, run
from builder.recipe.model import CompileComponent, Fips, GoComponent
from builder.steps import compile, go
from builder.store import Store
from builder.tree import folder_digest
from tests.support import roots
from tests.support.gotools import store_root
from tests.support.node import sealift
from tests.support.recipes import tiny_recipe
from tests.support.stepping import AMD64, EPOCH, a_lock, a_recipe, go_version, run_job, store_with_go, write_tree

pytestmark = pytest.mark.real
# A program that takes in all that a machine could leak into it: times, the folder, the compiler, random names.
TALKATIVE = """#include <seccomp.h>
#include <stdio.h>
int main(void) {
    const struct scmp_version *v = seccomp_version();
    return printf("%s %s %s %s %u v1.2.3\\n", __DATE__, __TIME__, __FILE__, __VERSION__, v->major) < 0;
}
"""
LIBRARY = "#include <time.h>\nlong now(void) { return time(0); }\n"
MAKEFILE = """tool: a.o tool.o libx.a
\t$(CC) -static -g -o $@ tool.o a.o -L. -lx -lseccomp
libx.a: a.o
\tar cr $@ a.o
"""
TOOL = CompileComponent(
    name="tool",
    source="./src",
    version="v1.2.3",
    needs=("libseccomp-dev",),
    run=("pkg-config --exists libseccomp", "make", ": -DVERSION=v1.2.3"),
    output={"tool": PurePosixPath("tool")},
)
CGO = """package main

// #cgo pkg-config: libseccomp
// #include <seccomp.h>
import "C"
import ("crypto/sha256"; "fmt"; "net")

func main() {
\ta, _ := net.LookupHost("localhost")
\tfmt.Println("v1.4.0", C.seccomp_version().major, sha256.Sum256([]byte("x")), a)
}
"""
APP = GoComponent(
    name="app",
    module=None,
    version="v1.4.0",
    folder=PurePosixPath("src"),
    packages={"app": ""},
    cgo=True,
    needs=("libseccomp-dev",),
)


def room(work: Path, *needs: str, rootless: bool = False, root: Path | None = None) -> Room:
    bind = Bound(source=work, place=WORK, writable=True)
    return Room(root=root or roots.root(*needs), binds=(bind,), rootless=rootless)


def inside(work: Path, command: str, *needs: str, rootless: bool = False) -> Completed:
    argv = room(work, *needs, rootless=rootless).wrap(["sh", "-ec", command], cwd=work, env=environment(EPOCH, {}))
    return run(argv, cwd=work, env={}, check=False)


@pytest.fixture(params=["root", "rootless"])
def rootless(request: pytest.FixtureRequest) -> bool:
    return str(request.param) == "rootless"


def test_a_command_sees_the_root_and_its_folder_and_nothing_of_the_machine(tmp_path: Path, rootless: bool) -> None:
    (tmp_path / "seen").write_text("")
    said = inside(
        tmp_path,
        "uname -n; id -u; pwd; umask; ls /; ls /build; ls /home /root 2>/dev/null || true; echo /proc/[0-9]*;"
        "tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/mounts; env",
        rootless=rootless,
    ).stdout.decode()
    words = said.split("\n")
    assert words[:4] == ["sealift", "0", "/build", "0022"]
    assert words[4:16] == ["bin", "build", "dev", "etc", "go", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp"]
    assert "seen" in words and str(tmp_path) not in said
    numbers = next(line for line in words if line.startswith("/proc/")).split()
    assert len(numbers) <= 4  # process 1, the shell, what it started
    assert not [line for line in words if line.strip().startswith(("eth", "en", "wl"))]
    assert "PATH=/usr/sbin:/usr/bin:/sbin:/bin" in words and "TZ=UTC" in words
    assert not [line for line in words if line.startswith(("LD_", "GO", "SSH", "VIRTUAL_ENV", "PYTEST"))]


def test_nothing_but_the_work_folder_and_tmp_can_be_written(tmp_path: Path, rootless: bool) -> None:
    places = "/ /usr/bin /etc /proc/sys/kernel /usr/local/go /go/mod"
    command = f"for f in {places}; do ! touch $f/x 2>/dev/null; done; touch /build/x /tmp/x; ! chmod 700 /usr"
    assert inside(tmp_path, command, rootless=rootless).code == 0
    assert (tmp_path / "x").exists() and not Path("/tmp/x").exists()


def test_commands_have_no_rights_and_get_none(tmp_path: Path, rootless: bool) -> None:
    said = inside(tmp_path, "cat /proc/self/status", rootless=rootless).stdout.decode()
    rights = {line.split(":")[0]: line.split()[1] for line in said.splitlines() if line.startswith(("Cap", "NoNew"))}
    assert rights.pop("NoNewPrivs") == "1" and set(rights.values()) == {"0" * 16}


def test_exit_codes_and_missing_programs_are_told(tmp_path: Path) -> None:
    assert inside(tmp_path, "exit 7").code == 7
    assert inside(tmp_path, "kill -9 $$").code == 137
    argv = room(tmp_path).wrap(["no-such-program"], cwd=tmp_path, env=environment(EPOCH, {}))
    done = run(argv, cwd=tmp_path, env={}, check=False)
    assert done.code == enter.NO_COMMAND and "no-such-program: No such file" in done.tail


def test_a_root_that_is_not_there_is_said(tmp_path: Path) -> None:
    argv = room(tmp_path, root=tmp_path / "none").wrap(["true"], cwd=tmp_path, env=environment(EPOCH, {}))
    done = run(argv, cwd=tmp_path, env={}, check=False)
    assert done.code == enter.CANNOT_ENTER and "the build root cannot be entered" in done.tail


def test_what_a_command_leaves_running_ends_with_it_and_with_us(tmp_path: Path) -> None:
    inside(tmp_path, "(while :; do date +%s%N > /build/alive; sleep 0.05; done) & sleep 0.2")
    stopped(tmp_path / "alive")
    endless = "trap '' TERM; while :; do date +%s%N > /build/alive; sleep 0.05; done"
    argv = room(tmp_path).wrap(["sh", "-c", endless], cwd=tmp_path, env=environment(EPOCH, {}))
    process = subprocess.Popen(argv, env={})
    while not (tmp_path / "alive").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped(tmp_path / "alive")


def stopped(alive: Path) -> None:
    """Nobody writes the file any more, soon."""
    for _ in range(50):
        before = alive.read_text()
        time.sleep(0.2)
        if alive.read_text() == before:
            alive.unlink()
            return
    raise AssertionError("it goes on writing")


def test_mounts_of_a_room_are_nowhere_on_the_machine(tmp_path: Path) -> None:
    before = Path("/proc/self/mounts").read_text()
    during = inside(tmp_path, "cat /proc/mounts")
    assert during.code == 0 and Path("/proc/self/mounts").read_text() == before


def test_somebody_who_is_not_root_gets_the_same_program(tmp_path: Path) -> None:
    """As nobody, with the machine's Python: the same bytes as root's."""
    (tmp_path / "a.c").write_text('int main(void) { return __DATE__ "" == 0; }\n')
    assert inside(tmp_path, "gcc -static -g -o a a.c").code == 0
    with tempfile.TemporaryDirectory(dir="/tmp") as open_folder:
        place = Path(open_folder)
        place.chmod(0o755)
        subprocess.run(["cp", "-al", roots.root(), place / "root"], check=True)
        shutil.copy(enter.__file__, place / "enter.py")
        work = place / "work"
        work.mkdir()
        shutil.copy(tmp_path / "a.c", work)
        os.chown(work, 65534, 65534)
        argv = room(work, root=place / "root").wrap(["gcc", "-static", "-g", "-o", "a", "a.c"], cwd=work,
                                                    env=environment(EPOCH, {}))  # fmt: skip
        argv[0], argv[3] = "/usr/bin/python3", str(place / "enter.py")
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        subprocess.run([*nobody, *argv], cwd="/", env={"PATH": os.environ["PATH"]}, umask=0o077, check=True)
        assert (work / "a").read_bytes() == (tmp_path / "a").read_bytes()


# Bytes


def shared_roots(store: Store, *needs: str) -> Store:
    """The store with the roots that are unpacked already."""
    roots.root(*needs)
    store.roots.rmdir()
    store.roots.symlink_to(store_root() / "roots")
    return store


def build_tool(folder: Path, component: CompileComponent = TOOL, *, jobs: int = 2) -> Receipt:
    files = {"tool.c": TALKATIVE, "a.c": LIBRARY, "Makefile": MAKEFILE}
    write_tree(folder / "recipe/src", files)
    locked = LockedInput(component="tool", source="folder:src", digest=folder_digest(folder / "recipe/src"))
    recipe = replace(a_recipe(folder / "recipe", component), buildroot=roots.suite())
    lock = replace(a_lock(locked), buildroot=roots.packages())
    store = shared_roots(Store(folder / "store"), *component.needs)
    return run_job(compile.describe(component, locked, EPOCH, AMD64, {}), recipe, store, lock=lock, jobs=jobs)


@pytest.fixture
def lying_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Compilers that break or mark what they touch, first on PATH, and variables that compilers and go listen to."""
    tools = tmp_path / "lies"
    tools.mkdir()
    for name in ("ar", "as", "cc", "gcc", "go", "ld", "make", "pkg-config", "sh", "strip", "x86_64-linux-gnu-gcc"):
        (tools / name).write_text(f"#!/bin/sh\ntouch {tools}/called-{name}\nexit 66\n")
        (tools / name).chmod(0o755)
    lies = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "LD_PRELOAD": str(tools / "no-such.so"),
        "LD_LIBRARY_PATH": str(tools),
        "CC": str(tools / "gcc"),
        "CFLAGS": "-DEVIL -O0",
        "CPATH": str(tools),
        "LIBRARY_PATH": str(tools),
        "GCC_EXEC_PREFIX": str(tools),
        "COMPILER_PATH": str(tools),
        "GOFLAGS": "-tags=evil",
        "GOENV": str(tools / "env"),
        "CGO_CFLAGS": "-DEVIL",
        "MAKEFLAGS": "-n",
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "tr_TR.UTF-8",
        "SOURCE_DATE_EPOCH": "7",
        "PYTHONPATH": str(tools),
        "HOME": "/nonexistent",
        "SEALIFT_STORE": str(store_root()),
    }
    for name, value in lies.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield tools
    os.sched_setaffinity(0, cores)
    os.umask(before)
    assert not list(tools.glob("called-*"))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Receipt:
    return build_tool(tmp_path_factory.mktemp("honest"))


def test_a_lying_machine_moves_no_byte_of_a_c_program(honest: Receipt, lying_machine: Path, tmp_path: Path) -> None:
    assert build_tool(tmp_path / "another path/with blanks", jobs=1) == honest


def test_the_clock_moves_no_byte(honest: Receipt, tmp_path: Path) -> None:
    """The compiler believes that it is 2001, and that time runs twice as fast."""
    lib = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    fake = f"LD_PRELOAD={lib} FAKETIME='@2001-01-01 11:12:13 x2'"
    run = ("pkg-config --exists libseccomp", f"test $({fake} date +%Y) = 2001", f"{fake} make", TOOL.run[-1])
    component = replace(TOOL, needs=(*TOOL.needs, "libfaketime"), run=run)
    assert build_tool(tmp_path, component).outputs == honest.outputs


def build_app(folder: Path, fips: Fips, *, jobs: int) -> Receipt:
    write_tree(folder / "recipe/src", {"go.mod": "module example.test/app\n\ngo 1.24\n", "main.go": CGO})
    locked = LockedInput(component="app", source="folder:src", digest=folder_digest(folder / "recipe/src"))
    made = a_recipe(folder / "recipe", APP, go=go_version(), fips=fips)
    recipe = replace(made, buildroot=roots.suite())
    store = shared_roots(store_with_go(folder / "store"), *APP.needs)  # no compiler cache of the root: cold
    toolchain = LockedTool(source=f"go-toolchain:{go_version()}", h1="h1:any", size=1)
    lock = replace(a_lock(locked), tools=(toolchain,), buildroot=roots.packages())
    made_of = run_job(go.describe(APP, locked, recipe, AMD64, toolchain, {}), recipe, store, lock=lock, jobs=jobs)
    for cache in (store.root / "go").glob("build-*"):
        shutil.rmtree(cache)  # hundreds of megabytes
    return made_of


def test_a_lying_machine_moves_no_byte_of_a_cgo_program_with_boringcrypto(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first = build_app(tmp_path / "one", Fips.BORINGCRYPTO, jobs=2)
    request.getfixturevalue("lying_machine")
    assert build_app(tmp_path / "other/and deeper", Fips.BORINGCRYPTO, jobs=1) == first
    facts = first.facts["programs"]["app"]
    assert facts["go"]["crypto"] == "boringcrypto" and facts["elf"]["static"]


def test_the_frozen_module_of_go_is_compiled_inside_the_root_too(tmp_path: Path) -> None:
    facts = build_app(tmp_path, Fips.GO_NATIVE, jobs=2).facts["programs"]["app"]
    assert facts["go"]["crypto"] == "go-native" and facts["elf"]["static"]


def test_the_program_that_enters_needs_nothing_but_python_itself(tmp_path: Path) -> None:
    spec = json.dumps({"root": "/nonexistent", "binds": [], "cwd": "/", "env": {}})
    command = [sys.executable, "-I", "-S", enter.__file__, spec, "--", "true"]
    done = subprocess.run(command, env={}, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == enter.CANNOT_ENTER and "/nonexistent" in done.stderr


def test_a_recipe_with_a_build_root_is_locked_built_checked_and_told(tmp_path: Path) -> None:
    """All commands, on a recipe that only adds the key; the check unpacks a root of its own."""
    recipe = tiny_recipe(tmp_path / "recipe", lock=False)
    text = (recipe / "bundle.yaml").read_text()
    (recipe / "bundle.yaml").write_text(f"{text}buildroot: {roots.suite()}\n")
    sealift("lock", recipe)
    locked = read_lock(recipe)
    assert {"gcc", "libc6-dev", "make"} <= {package_of(each)[0] for each in locked.buildroot}
    assert all(file.size and file.digest for each in locked.buildroot for file in each.files)
    again = sealift("lock", recipe, "--check")
    assert "build root" not in again.stdout
    built = sealift("build", recipe, "--output", tmp_path / "out", "--check", "--require-sandbox")
    bundle = Path(built.stdout.strip().splitlines()[-1])
    said = json.loads((bundle / "provenance.json").read_bytes())["predicate"]["buildDefinition"]
    assert said["internalParameters"]["sandbox"] == f"build root {roots.suite()}"
    assert said["internalParameters"]["tools"]["gcc"] == dict(map(package_of, locked.buildroot))["gcc"]
    named = {each["name"] for each in said["resolvedDependencies"]}
    assert {file.name for each in locked.buildroot for file in each.files} <= named
    (recipe / "bundle.yaml").write_text(text)
    refused = sealift("build", recipe, "--output", tmp_path / "out", check=False)
    assert refused.returncode == 2 and "it pins a build root, the recipe has none" in refused.stderr
