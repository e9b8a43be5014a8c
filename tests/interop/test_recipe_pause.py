"""Our own pause, compiled as the recipe says: pid 1 of a pod."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from builder.recipe.model import CompileComponent
from builder.recipe.read import read_recipe

pytestmark = pytest.mark.real
RECIPE = Path(__file__).resolve().parents[2] / "recipes/hello"
T = TypeVar("T")
PATIENCE = 60  # seconds until a hung test fails


@pytest.fixture(scope="session")
def pause(tmp_path_factory: pytest.TempPathFactory) -> Path:
    component = read_recipe(RECIPE).components["pause"]
    assert isinstance(component, CompileComponent)
    folder = tmp_path_factory.mktemp("pause") / "src"
    shutil.copytree(RECIPE / component.source, folder)
    for command in component.run:
        subprocess.run(["sh", "-c", command], cwd=folder, check=True)
    return folder / "pause"


def test_it_says_its_version_and_refuses_what_it_does_not_know(pause: Path) -> None:
    assert subprocess.run([pause, "-v"], capture_output=True, check=True).stdout == b"pause 0.1.0\n"
    assert subprocess.run([pause, "-x"], capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_when_it_is_asked_to(pause: Path, number: signal.Signals) -> None:
    with subprocess.Popen([pause], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"not pid 1" in process.stderr.readline()
        process.send_signal(number)
        assert process.wait(timeout=PATIENCE) == 0


def test_as_pid_1_it_collects_orphans_and_ends_when_asked(pause: Path) -> None:
    """One orphan ends before pause starts, one while it waits: neither stays as a zombie."""
    script = f"(sleep 0 &) ; (sleep 0.3 &) ; exec {pause}"
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *user, "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]
    with subprocess.Popen(command) as process:
        try:
            first = wait_until(lambda: [pid for pid in children(process.pid) if program(pid) == "pause"])[0]
            wait_until(lambda: not children(first))
            os.kill(first, signal.SIGTERM)
            assert process.wait(timeout=PATIENCE) == 0
        finally:
            process.kill()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def wait_until(state: Callable[[], T]) -> T:
    deadline = time.monotonic() + PATIENCE
    while not (value := state()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    return value
