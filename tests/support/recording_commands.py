"""The flows as real command lines, in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.recording_build import Build
from tests.support.recording_node import NodeFlow

_SCRIPTS = {"sealift": "from builder.cli import main; main()", "sealift-node": "from runtime.cli import main; main()"}
_ROOT = Path(__file__).resolve().parents[2]

Command = list[str]


def build_command(recipe: Path, home: Path, *more: str) -> Command:
    """`sealift build` into `home`/out with `home`/store."""
    return sealift("build", recipe, "--output", home / "out", "--store", home / "store", "--progress", "none", *more)


def stage_command(bundle: Path, data: Path) -> Command:
    """`sealift-node stage`."""
    return _python("sealift-node", "stage", bundle, "--data-dir", data, "--insecure-no-signature", "--progress", "none")


def extract_command(data: Path, shims: Path) -> Command:
    """`sealift-node extract`."""
    return _python("sealift-node", "extract", "--data-dir", data, "--shim-dir", shims, "--progress", "none")


def sealift(*words: str | Path) -> Command:
    """Any verb of `sealift`."""
    return _python("sealift", *words)


def command_of(flow: Build | NodeFlow) -> Command:
    """What a flow does, as a command: a build, or the first half of a node's way that has not been done yet."""
    if isinstance(flow, Build):
        return build_command(flow.recipe, flow.root)
    layout = flow.node.layout
    return (
        extract_command(layout.data, flow.node.shims)
        if layout.admitted.exists()
        else stage_command(flow.old, layout.data)
    )


def start(command: Command, *, env: Mapping[str, str] | None = None, **more: Any) -> "subprocess.Popen[str]":
    """The program, with its output kept apart."""
    return subprocess.Popen(
        command,
        env=os.environ if env is None else env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def run(command: Command, *, env: Mapping[str, str] | None = None, code: int = 0, **more: Any) -> str:
    """Runs it to its end; fails unless its exit code is `code`; returns its error output."""
    process = start(command, env=env, **more)
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    assert "Traceback" not in said and "bug of Sealift" not in said, said
    return said


def _python(program: str, *words: str | Path) -> Command:
    script = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); sys.argv[0] = {program!r}; {_SCRIPTS[program]}"
    return [sys.executable, "-P", "-c", script, *map(str, words)]
