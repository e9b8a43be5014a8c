"""Same lock, same bytes: another path, store, worker count, umask, time zone and locale give an identical bundle.

The other store is cold: frames are compressed again, and the small programs compiled again: C with a configure script,
cgo, plain Go. The large ones take the same way and half an hour more: `make check-all` is for them. A program whose
very content id was compiled twice by an earlier run is taken over (tests/support/proofs.py); the test says which.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import proofs
from tests.support.node import PROGRAMS

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
SMALL = {"pause", "socat", "runc", "helm-job"}


def build_elsewhere(recipe: str, home: Path, *, jobs: int, umask: int, zone: str, locale: str) -> Path:
    """Builds a copy of the recipe at another path, with a store of its own; returns the bundle's folder."""
    home.mkdir(parents=True, exist_ok=True)
    copy = home / "a folder with blanks" / recipe
    shutil.copytree(ROOT / "recipes" / recipe, copy)
    environment = {
        **os.environ,
        "SEALIFT_STORE": str(home / "store"),
        "TZ": zone,
        "LC_ALL": locale,
        "SOURCE_DATE_EPOCH": "1",
    }
    command: list[str | Path] = [
        PROGRAMS / "sealift",
        "build",
        copy,
        "--output",
        home / "out",
        "--jobs",
        str(jobs),
        "--progress",
        "plain",
    ]
    done = subprocess.run(
        command, cwd=home, env=environment, umask=umask, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    shutil.rmtree(home / "store")
    return Path(done.stdout.strip().splitlines()[-1])


def contents(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(folder))] = f"{digest} {path.stat().st_mode & 0o7777:o}"
    return found


def test_hello_is_the_same_from_two_cold_stores_and_the_first_build(hello_bundle: Path, tmp_path: Path) -> None:
    one = build_elsewhere("hello", tmp_path / "1", jobs=1, umask=0o077, zone="Pacific/Kiritimati", locale="tr_TR.UTF-8")
    eight = build_elsewhere("hello", tmp_path / "deep/er/8", jobs=8, umask=0o002, zone="America/St_Johns", locale="C")
    assert contents(one) == contents(eight) == contents(hello_bundle)


def test_rke2_with_its_small_programs_compiled_again_is_the_same(
    rke2_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every = proofs.components(ROOT / "recipes/rke2-v1.34")
    known = proofs.proven(every)
    small = [component for component in every if component.name.removeprefix("component ") in SMALL]
    assert len(small) == len(SMALL)
    fresh = [component for component in small if component not in known]
    with capsys.disabled():
        names = ", ".join(component.name.removeprefix("component ") for component in fresh)
        print(f"\ncompiled again: {names or 'nothing'}; compiled twice by earlier runs: {len(known)} of {len(every)}")
    proofs.seed(tmp_path / "again/store", [component for component in every if component not in fresh])
    again = build_elsewhere("rke2-v1.34", tmp_path / "again", jobs=2, umask=0o077, zone="Asia/Kathmandu", locale="C")
    assert contents(again) == contents(rke2_bundle)
    proofs.note(fresh)
