"""A data directory staged and extracted by the real `sealift-node`, as a user would."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Node:
    """A data directory and the versioned folders in it."""

    data: Path
    bin: Path
    charts: Path


def sealift_node(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the command; with `check` its failure shows its words."""
    return _run("sealift-node", arguments, check)


def sealift(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs the builder's command."""
    return _run("sealift", arguments, check)


def extracted_node(bundle: Path, data: Path) -> Node:
    """Bundle -> staged and extracted node directory."""
    sealift_node("stage", bundle, "--data-dir", data, "--insecure-no-signature")
    sealift_node("extract", "--data-dir", data)
    target = (data / "bin").readlink()
    return Node(data=data, bin=target, charts=target.parent / "charts")


def _run(program: str, arguments: tuple[str | Path, ...], check: bool) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / program), *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if check:
        assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
