"""The README's commands run as they stand, in a fresh clone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def commands(block: str) -> list[str]:
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a stranger gets: the committed files, and nothing else."""
    target = tmp_path_factory.mktemp("fresh") / "sealift"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(target)], check=True)
    return target


def run(clone: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "MAKEFLAGS", "MINUTES")
    }
    done = subprocess.run(["sh", "-ec", command], cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def test_the_first_command_builds_hello_in_a_fresh_clone(clone: Path) -> None:
    (first,) = commands(blocks()[0])
    assert "recipes/hello" in first
    done = run(clone, first)
    assert "Next:" in done.stdout
    assert (clone / "out/node/bin").is_symlink()


def test_the_default_bundle_and_the_commands_after_it_run_in_a_fresh_clone(clone: Path) -> None:
    bundle, test = commands(blocks()[1])
    assert (bundle, test) == ("make bundle", "make test")  # `make test` is what runs this
    run(clone, bundle)
    for command in commands(blocks()[2]):
        run(clone, command)
    assert "Kubernetes v1.34.4" in run(clone, "out/node/bin/kubelet --version").stdout


def test_the_sites_commands_run(clone: Path, tmp_path: Path) -> None:
    """With a data directory of the test's own in place of /var/lib/rancher/rke2."""
    run(clone, "make bundle")
    pack, *site = commands(blocks()[3])
    run(clone, pack)
    packed = next(clone.glob("**/*.sealift"))
    carried = tmp_path / packed.name
    shutil.copyfile(packed, carried)
    for command in site:
        moved = command.replace("/var/lib/rancher/rke2", f"{tmp_path}/rke2").replace(packed.name, str(carried))
        run(clone, f"PATH=.venv/bin:$PATH {moved}")
    assert (tmp_path / "rke2/bin/containerd-shim-runc-v1").exists()
