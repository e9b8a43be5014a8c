"""A recipe built again where everything around it differs: its path, the store, the machine's settings and tools."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.node import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "recipes"
POISONED = ROOT / "scripts/poisoned.sh"


def build_elsewhere(
    recipe: str, home: Path, *, jobs: int, umask: int, zone: str, locale: str, poison: bool = False
) -> Path:
    """Builds a copy of the recipe at another path, with a store of its own; returns the bundle's folder."""
    home.mkdir(parents=True, exist_ok=True)
    copy = home / "a folder with blanks" / recipe
    shutil.copytree(RECIPES / recipe, copy)
    environment = {
        **os.environ,
        "SEALIFT_STORE": str(home / "store"),
        "TZ": zone,
        "LC_ALL": locale,
        "SOURCE_DATE_EPOCH": "1",
    }
    options: list[str | Path] = ["--output", home / "out", "--jobs", str(jobs), "--progress", "plain"]
    command = [*([POISONED] if poison else []), PROGRAMS / "sealift", "build", copy, *options]
    done = subprocess.run(
        command, cwd=home, env=environment, umask=umask, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    shutil.rmtree(home / "store")
    return Path(done.stdout.strip().splitlines()[-1])


def contents(folder: Path) -> dict[str, str]:
    """Each file's path -> its digest and mode."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(folder))] = f"{digest} {path.stat().st_mode & 0o7777:o}"
    return found
