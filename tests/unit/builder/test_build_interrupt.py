"""Ctrl-C, kill and kill -9 while a step runs: its programs end too, nothing half is named, the next run goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.recipes import tiny_recipe, write_lock

SEALIFT = Path(sys.executable).parent / "sealift"


def until(condition: Callable[[], bool]) -> bool:
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe whose compiler step writes its process id and waits, the first time."""
    folder = tiny_recipe(tmp_path / "recipe", lock=False)
    pid = tmp_path / "pid"
    wait = f"'test -e {pid} || {{ echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 600; }}'"
    text = (folder / "components.yaml").read_text()
    (folder / "components.yaml").write_text(text.replace("run: [gcc", f"run: [{wait}, gcc"))
    write_lock(folder)
    return folder


def start(recipe: Path, home: Path) -> subprocess.Popen[str]:
    command: list[str | Path] = [SEALIFT, "build", recipe, "--output", home / "out", "--store", home / "store"]
    return subprocess.Popen([*command, "--progress", "none"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130), (signal.SIGKILL, -9)]
)
def test_programs_end_with_the_build_and_the_next_run_goes_on(
    recipe: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = start(recipe, tmp_path)
    assert until((tmp_path / "pid").exists) and until(lambda: bool(list((tmp_path / "store/steps").glob("*.json"))))
    program = int((tmp_path / "pid").read_text())
    assert running(program)
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert until(lambda: not running(program))
    assert out == "" and "Traceback" not in err
    assert not list((tmp_path / "out").glob("*"))
    again = start(recipe, tmp_path)
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert (Path(out.splitlines()[-1]) / "bundle.json").is_file()
    assert not list((tmp_path / "store/tmp").iterdir())
