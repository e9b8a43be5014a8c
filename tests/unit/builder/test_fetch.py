"""Fetching: verified, once, several at once, offline or not at all."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from builder.errors import RecipeError
from builder.fetch import fetch
from builder.lock.model import Lock
from builder.process import run
from builder.recipe.model import CompileComponent, Recipe
from builder.resolve import resolve, write
from builder.sources.goclient import go_program, module_folder, module_zip
from builder.sources.gomod import Module
from bundles.errors import FormatError, MissingError
from tests.support.golab import APP, HOST, TOOLCHAIN, GoLab
from tests.support.gotools import go_program as real_go

ROOT = Path(__file__).resolve().parents[3]
ALPHA = Module(path="example.test/lib/alpha", version="v1.0.0")
SOURCE = CompileComponent(
    name="hello",
    source="go-source:example.test/app@v1.2.0",
    version="v1.2.0",
    run=(),
    output={"hello": PurePosixPath("hello")},
)


@pytest.fixture
def lab(tmp_path: Path) -> GoLab:
    """Locked with another store, so that its own store is empty."""
    lab = GoLab(tmp_path)
    resolution = resolve(recipe(lab), None, lab.resolving(1))
    write(resolution, lab.root / "recipe")
    shutil.rmtree(lab.root / "store")
    lab.said.clear()
    return lab


def recipe(lab: GoLab) -> Recipe:
    return lab.recipe({"app": APP, "hello": SOURCE})


def lock(lab: GoLab) -> Lock:
    from builder.lock.text import read_lock

    return read_lock(lab.root / "recipe")


def touch(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_after_fetching_a_build_needs_no_network(lab: GoLab) -> None:
    names = fetch(recipe(lab), lock(lab), lab.fetching())
    assert set(names) == {f"go-toolchain:{TOOLCHAIN}", "app", "go-source:example.test/app@v1.2.0"}
    (lab.root / "proxy").rename(lab.root / "elsewhere")
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(lab.root), "GOMODCACHE": str(lab.store.go_mod), "GOENV": "off",
        "GOCACHE": str(lab.store.go_build), "GOPROXY": "off", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0",
    }  # fmt: skip
    go = str(go_program(lab.store, TOOLCHAIN, HOST))
    output = lab.root / "built"
    argv = [go, "build", "-o", str(output), "example.test/app/cmd/app"]
    run(argv, cwd=lab.root / "recipe/go/app", env=environment)
    assert subprocess.run([output], check=True, capture_output=True).stderr == b"alpha\n"


def test_a_second_fetch_starts_no_program(lab: GoLab) -> None:
    fetch(recipe(lab), lock(lab), lab.fetching())
    calls = lab.programs.calls("go")
    (lab.programs.folder / "go").unlink()
    said = len(lab.said)
    assert fetch(recipe(lab), lock(lab), lab.fetching()) == ()
    assert fetch(recipe(lab), lock(lab), lab.fetching(offline=True)) == ()
    assert lab.programs.calls("go") == calls and len(lab.said) == said


def test_offline_everything_missing_is_named_at_once(lab: GoLab) -> None:
    with pytest.raises(MissingError) as caught:
        fetch(recipe(lab), lock(lab), lab.fetching(offline=True))
    for name in (f"go-toolchain:{TOOLCHAIN}", "app", "go-source:example.test/app@v1.2.0"):
        assert name in str(caught.value)


def test_a_carried_store_without_receipts_is_verified_offline(lab: GoLab) -> None:
    fetch(recipe(lab), lock(lab), lab.fetching())
    shutil.rmtree(lab.store.sources)
    (lab.root / "proxy").rename(lab.root / "elsewhere")
    assert len(fetch(recipe(lab), lock(lab), lab.fetching(offline=True))) == 3


def test_only_the_components_asked_for_are_fetched(lab: GoLab) -> None:
    assert fetch(recipe(lab), lock(lab), lab.fetching(), {"hello"}) == ("go-source:example.test/app@v1.2.0",)


@pytest.mark.parametrize("what", ["file", "zip", "removed"])
def test_damage_in_the_store_is_noticed_and_mended(lab: GoLab, what: str) -> None:
    fetch(recipe(lab), lock(lab), lab.fetching())
    folder = module_folder(lab.store, ALPHA)
    if what == "file":
        touch(folder / "alpha.go", b"package alpha // not what was locked\n")
        (folder / "new").touch()  # a change right in the folder is what the quick look can see
    elif what == "zip":
        touch(module_zip(lab.store, ALPHA), b"not a zip")
    else:
        shutil.rmtree(folder)
    assert fetch(recipe(lab), lock(lab), lab.fetching()) == ("app",)
    assert (folder / "alpha.go").read_text() == 'package alpha\n\nconst Word = "alpha"\n'
    assert not (folder / "new").exists()


def test_other_bytes_than_locked_are_refused(lab: GoLab) -> None:
    locked = lock(lab)
    wrong = "h1:" + "A" * 43 + "="
    inputs = tuple(replace(each, h1=wrong) if each.component == "hello" else each for each in locked.inputs)
    with pytest.raises(FormatError, match="not what was locked"):
        fetch(recipe(lab), replace(locked, inputs=inputs), lab.fetching(), {"hello"})
    tools = tuple(replace(tool, h1=wrong) for tool in locked.tools)
    with pytest.raises(FormatError, match="not what was locked"):
        fetch(recipe(lab), replace(locked, tools=tools), lab.fetching(), {"app"})


def test_a_proxy_that_serves_other_bytes_is_refused(lab: GoLab) -> None:
    code = {
        "go.mod": "module example.test/lib/alpha\n\ngo 1.21\n",
        "alpha.go": 'package alpha\n\nconst Word = "omega"\n',
    }
    lab.proxy.add(ALPHA.path, ALPHA.version, code)
    with pytest.raises(FormatError, match="other content than its checksum"):
        fetch(recipe(lab), lock(lab), lab.fetching(), {"app"})


def test_a_go_sum_that_is_not_the_locked_one_is_refused(lab: GoLab) -> None:
    path = lab.root / "recipe/go/app/go.sum"
    path.write_text(path.read_text() + "example.test/x v1.0.0 h1:" + "A" * 43 + "=\n")
    with pytest.raises(RecipeError, match="differs from the lock"):
        fetch(recipe(lab), lock(lab), lab.fetching())


def test_a_fetch_that_was_killed_goes_on(lab: GoLab) -> None:
    # go brings the toolchain, then the whole process dies before anything was verified or noted.
    lab.programs.add("go", f'{real_go()} "$@"; kill -9 $PPID')
    script = (
        "import sys; from pathlib import Path\n"
        "from builder.fetch import fetch\n"
        "from builder.lock.text import read_lock\n"
        "from tests.unit.builder.test_fetch import attach, recipe\n"
        "lab = attach(Path(sys.argv[1]))\n"
        "fetch(recipe(lab), read_lock(lab.root / 'recipe'), lab.fetching())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(lab.root)], cwd=Path.cwd(), env={**os.environ}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    lab.programs.add("go", f'exec {real_go()} "$@"')
    assert len(fetch(recipe(lab), lock(lab), lab.fetching())) == 3


def attach(root: Path) -> GoLab:
    """The lab of another process."""
    lab = GoLab.__new__(GoLab)
    lab.root, lab.said = root, []
    return lab


def test_a_machine_without_go_is_told_what_to_install(lab: GoLab) -> None:
    (lab.programs.folder / "go").unlink()
    if shutil.which("go", path=lab.environment["PATH"]):
        pytest.skip("go lies in the system's folders")
    with pytest.raises(MissingError, match="golang-go"):
        fetch(recipe(lab), lock(lab), lab.fetching(), {"hello"})
