"""A site keeps an input archive: years later it builds the same bytes from it, on a machine without anything."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from builder.lock.model import Lock
from builder.lock.text import format_lock, read_lock
from builder.recipe.digest import recipe_digest
from builder.recipe.read import read_recipe
from tests.support.gotools import store_root
from tests.support.recipes import EPOCH

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "recipes/rke2-v1.34"
SEALIFT = [sys.executable, "-c", "from builder.cli import main; main()"]
ALONE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
BUNDLE = """\
sealift: 1
name: small
version: v0.1.0
sequence: 1
platforms: [linux/amd64]
go: {go}
runtime: rke2-runtime
archives:
  rke2-runtime: [rke2-runtime]
"""
COMPONENTS = """\
cni-plugins:
  go: {module}
  build: {{loopback: plugins/main/loopback}}
busybox:
  deb: {package}
  files: {{busybox: bin/busybox}}
pause:
  compile: ./src/pause
  version: 0.1.0
  needs: [gcc, binutils]
  run: [gcc -std=c11 -Os -static -DVERSION=$version -o pause pause.c]
  output: [pause]
"""
IMAGES = """\
rke2-runtime:
  name: rancher/rke2-runtime
  layers:
    - cni-plugins: /bin
    - busybox: /bin
    - pause: /bin
"""


def small_recipe(folder: Path) -> Path:
    """A Go module, a Debian package and a C program, locked as the default recipe locks the first two."""
    known = read_lock(DEFAULT)
    (module,) = known.of("cni-plugins")
    package = next(each for each in known.inputs if "/busybox-static=" in each.source)
    go = known.tools[0].source.removeprefix("go-toolchain:")
    (folder / "src").mkdir(parents=True)
    shutil.copytree(ROOT / "recipes/hello/src/pause", folder / "src/pause")
    shutil.copytree(DEFAULT / "go/cni-plugins", folder / "go/cni-plugins")
    (folder / "bundle.yaml").write_text(BUNDLE.format(go=go))
    words = {"module": module.source.removeprefix("go:"), "package": package.source.rpartition("/")[2]}
    (folder / "components.yaml").write_text(COMPONENTS.format(**words))
    (folder / "images.yaml").write_text(IMAGES)
    recipe = read_recipe(folder)
    (pause,) = read_lock(ROOT / "recipes/hello").of("pause")
    lock = Lock(
        recipe=recipe_digest(recipe),
        bundle="small@v0.1.0",
        epoch=EPOCH,
        tools=known.tools[:1],
        buildroot=(),
        inputs=(module, replace(package, component="busybox"), pause),
        charts=(),
    )
    (folder / "lock.yaml").write_text(format_lock(lock))
    return folder


def sealift(*words: str | Path, alone: bool = False, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [*(ALONE if alone else []), *SEALIFT, *map(str, words), "--progress", "none"]
    return subprocess.run(command, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the site kept: `bundle` as it was built then, and `inputs`."""
    home = tmp_path_factory.mktemp("then")
    recipe = small_recipe(home / "recipe")
    fetched = sealift("fetch", recipe, "--to", home / "inputs", "--store", store_root())
    assert fetched.returncode == 0, fetched.stderr
    built = sealift("build", recipe, "--output", home / "bundle", "--store", store_root())
    assert built.returncode == 0, built.stderr
    return home


def test_an_empty_machine_without_network_builds_the_same_bytes_from_the_archive(kept: Path, tmp_path: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=kept / "inputs", check=True)
    # As a stranger would: the recipe comes out of the archive too, the way README.txt says.
    (tar,) = (kept / "inputs/recipes").glob("small-v0.1.0-*.tar")
    subprocess.run(["tar", "xf", tar, "-C", tmp_path], check=True)
    (tmp_path / "home").mkdir()
    built = sealift(
        "build", tmp_path / "recipe", "--inputs", kept / "inputs", "--offline",
        "--store", tmp_path / "store", "--output", tmp_path / "bundle",
        alone=True, HOME=str(tmp_path / "home"), GOENV="off",
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert contents(tmp_path / "bundle") == contents(kept / "bundle")
    shutil.rmtree(tmp_path / "store")


def test_a_damaged_input_is_named_before_anything_is_built(kept: Path, tmp_path: Path) -> None:
    inputs = Path(shutil.copytree(kept / "inputs", tmp_path / "inputs", copy_function=os.link))
    (package,) = inputs.glob("debian/busybox-static_*/*.deb")
    data = bytearray(package.read_bytes())
    data[1000] ^= 1
    package.unlink()
    package.write_bytes(data)
    built = sealift(
        "build", kept / "recipe", "--inputs", inputs, "--offline",
        "--store", tmp_path / "store", "--output", tmp_path / "bundle", alone=True,
    )  # fmt: skip
    assert built.returncode == 1
    assert package.name in built.stderr and "damaged" in built.stderr and "sealift fetch" in built.stderr
    checked = sealift("lock", kept / "recipe", "--check", "--inputs", inputs, alone=True)
    assert checked.returncode == 1 and package.name in checked.stderr
    assert sealift("lock", kept / "recipe", "--check", "--inputs", kept / "inputs", alone=True).returncode == 0
