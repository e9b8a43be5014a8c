"""The default bundle asks nothing of the machine's compilers: it comes out the same where all of them are poisoned.

scripts/poisoned.sh is that machine; `make check-all` builds every component twice on it. Here the store is cold, the
build root is unpacked anew elsewhere, and the small programs are compiled again: C with a configure script, C alone,
cgo with a library, Go with BoringCrypto.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support import proofs
from tests.support.elsewhere import POISONED, RECIPES, build_elsewhere, contents
from tests.support.node import PROGRAMS

pytestmark = pytest.mark.real
SMALL = {"pause", "socat", "runc", "helm-job"}


def poisoned(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([POISONED, *command], capture_output=True, text=True)


@pytest.mark.parametrize("program", ["gcc", "cc", "ld", "as", "ar", "make", "pkg-config", "go"])
def test_a_poisoned_compiler_fails_loudly_even_where_nobody_looks_at_its_exit_code(program: str) -> None:
    done = poisoned("sh", "-c", f"{program} --version || true")
    assert done.returncode == 1 and f"called: {program}" in done.stderr


def test_a_compiler_that_is_called_by_its_full_path_is_poisoned_too() -> None:
    done = poisoned("/usr/bin/ld", "--version")
    assert done.returncode == 1 and "in a compiler" in done.stderr and done.stdout == ""


def test_what_is_no_compiler_goes_on_as_ever() -> None:
    done = poisoned("sh", "-c", "echo well; exit 3")
    assert (done.returncode, done.stdout) == (3, "well\n")


def test_a_recipe_without_a_build_root_notices_the_poison(tmp_path: Path) -> None:
    folders: list[str | Path] = ["--output", tmp_path / "out", "--store", tmp_path / "store"]
    done = poisoned(PROGRAMS / "sealift", "build", RECIPES / "hello", *folders)
    assert done.returncode != 0 and "poisoned: called:" in done.stderr


def test_all_programs_of_the_default_bundle_carry_boringcrypto_or_no_crypto_at_all(rke2_bundle: Path) -> None:
    said = {}
    for part in json.loads((rke2_bundle / "sbom.cdx.json").read_bytes())["components"]:
        notes = {each["name"]: each["value"] for each in part.get("properties", ())}
        if "sealift:go:crypto" in notes:
            said[part["bom-ref"].rpartition("/")[2]] = notes["sealift:go:crypto"]
    assert len(said) == 32
    assert {name for name, crypto in said.items() if crypto != "boringcrypto"} == {"loopback", "static", "tuning"}
    assert {said[name] for name in ("loopback", "static", "tuning")} == {"none"}


def test_the_default_bundle_is_the_same_from_a_poisoned_host_a_cold_store_and_another_root(
    rke2_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    every = proofs.components(RECIPES / "rke2-v1.34")
    known = proofs.proven(every)
    small = [component for component in every if component.name.removeprefix("component ") in SMALL]
    assert len(small) == len(SMALL)
    fresh = [component for component in small if component not in known]
    with capsys.disabled():
        names = ", ".join(component.name.removeprefix("component ") for component in fresh)
        print(f"\ncompiled again: {names or 'nothing'}; compiled twice by earlier runs: {len(known)} of {len(every)}")
    proofs.seed(tmp_path / "again/store", [component for component in every if component not in fresh])
    proofs.share_modules(tmp_path / "again/store")
    again = build_elsewhere(
        "rke2-v1.34", tmp_path / "again", jobs=2, umask=0o077, zone="Asia/Kathmandu", locale="C", poison=True
    )
    assert contents(again) == contents(rke2_bundle)
    proofs.note(fresh)
