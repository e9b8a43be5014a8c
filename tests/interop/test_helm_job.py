"""The helm job: its own tests by go, and what it says when its pod was set up wrongly."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.gotools import go_program, store_root

pytestmark = pytest.mark.real
SOURCE = Path(__file__).resolve().parents[2] / "recipes/rke2-v1.34/src/helm-job"


def run_go(*arguments: str) -> subprocess.CompletedProcess[str]:
    cache = store_root() / "test-tools/go-build"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "GOCACHE": str(cache),
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOFLAGS": "-mod=readonly",
        "CGO_ENABLED": "0",
    }
    command = [str(go_program()), *arguments]
    return subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)


def test_its_own_tests_pass() -> None:
    done = run_go("test", "./...")
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_needs_nothing_but_go_itself() -> None:
    assert "require" not in (SOURCE / "go.mod").read_text() and not (SOURCE / "go.sum").exists()
    assert run_go("vet", "./...").returncode == 0


@pytest.mark.parametrize("arguments", [[], ["upgrade"], ["install"]])
def test_without_its_environment_it_says_what_it_wants(tmp_path: Path, arguments: list[str]) -> None:
    assert run_go("build", "-o", str(tmp_path / "entry"), ".").returncode == 0
    done = subprocess.run([tmp_path / "entry", *arguments], capture_output=True, text=True, env={}, check=False)
    assert done.returncode == 1 and done.stderr.startswith("entry: ")
