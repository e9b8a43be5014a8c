"""Recipes of two platforms, built here: the same bytes twice, programs that run on an emulated arm64, one tag."""

import hashlib
import json
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from builder.facts.elf import elf_facts
from tests.emulate.__main__ import missing, versions
from tests.emulate.roots import roots_of
from tests.support.built import built_programs
from tests.support.elsewhere import contents
from tests.support.emulated import ARM64, QEMU, emulated
from tests.support.node import PROGRAMS
from tests.support.published import layer, push, push_index, taking_recipe
from tests.support.registry import running_registry

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "recipes/hello-platforms"
SEVERAL = Path(__file__).parent / "platforms"


def sealift(*words: str | Path) -> str:
    done = subprocess.run([PROGRAMS / "sealift", *words], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One for each platform, each built twice, the second time from nothing."""
    printed = sealift("build", HELLO, "--output", tmp_path_factory.mktemp("bundles"), "--check")
    return {path.name.rpartition("-")[2]: path for path in map(Path, printed.split())}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Programs for arm64: with C and BoringCrypto, without C, with a configure script, out of a package."""
    sealift("build", SEVERAL, "--platform", "linux/arm64", "--output", tmp_path_factory.mktemp("bundles"))
    return built_programs(SEVERAL, tmp_path_factory.mktemp("programs"), ARM64)


def test_each_platform_has_a_bundle_and_the_machines_own_is_told_last(bundles: dict[str, Path]) -> None:
    assert [path.name for path in bundles.values()] == [
        "hello-platforms-v0.1.0-classic-linux-arm64",
        "hello-platforms-v0.1.0-classic-linux-amd64",
    ]
    for architecture, path in bundles.items():
        sealift("verify", path, "--insecure-no-signature")
        assert json.loads(sealift("inspect", path, "--json"))["platform"] == f"linux/{architecture}"


def test_a_bill_names_the_cross_compiler_and_the_linked_library_by_their_architectures(
    bundles: dict[str, Path],
) -> None:
    bill = (bundles["arm64"] / "sbom.spdx.json").read_text()
    assert "pkg:deb/debian/gcc-aarch64-linux-gnu@4:12.2.0-3?arch=amd64" in bill
    assert "pkg:deb/debian/libc6-dev@" in bill and "arch=arm64" in bill
    assert "aarch64" not in (bundles["amd64"] / "sbom.spdx.json").read_text()
    assert "aarch64" not in (bundles["amd64"] / "provenance.json").read_text()


def test_each_program_says_the_same_on_both_machines_and_what_differs_is_told(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    here, there = (roots_of(bundles[name], tmp_path / name) for name in ("amd64", "arm64"))
    assert [root.programs for root in there.values()] == [root.programs for root in here.values()] != [()]
    assert not [*missing(here, there), *versions(here, there)]
    (name, root), *_ = there.items()
    (root.folder / root.programs[0]).write_bytes(b"no program")
    (told,) = versions(here, there)
    assert root.programs[0] in told and "here:" in told
    assert [*missing(here, {**there, name: replace(root, programs=())})]


def test_every_program_is_of_the_platform(programs: dict[str, Path]) -> None:
    machines = {name: _machine(path) for name, path in programs.items()}
    assert machines == dict.fromkeys(("runc", "socat", "pause", "word", "hostname"), 183)


def test_each_says_its_version(programs: dict[str, Path]) -> None:
    said = emulated(programs["runc"], "--version").stdout.decode()
    assert "runc version 1.3.4" in said and "X:boringcrypto" in said and "libseccomp: 2.5.4" in said
    assert b"socat version 1.7.4.4" in emulated(programs["socat"], "-V").stdout
    assert b"v3.10.1" in emulated(programs["pause"], "-v").stdout
    assert emulated(programs["word"], "--version").stdout == b"word v1.0.0 arm64\n"


def test_socat_relays_a_byte(programs: dict[str, Path]) -> None:
    assert emulated(programs["socat"], "-", "EXEC:cat", stdin=b"x").stdout == b"x"


def test_go_computes_right(programs: dict[str, Path]) -> None:
    assert emulated(programs["word"], "abc").stdout.decode().strip() == hashlib.sha256(b"abc").hexdigest()


def test_runc_writes_a_configuration(programs: dict[str, Path], tmp_path: Path) -> None:
    done = subprocess.run([QEMU, programs["runc"], "spec"], cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0
    assert json.loads((tmp_path / "config.json").read_text())["ociVersion"]


def test_pause_starts_and_ends_when_told(programs: dict[str, Path]) -> None:
    with subprocess.Popen([QEMU, programs["pause"]], stderr=subprocess.PIPE) as running:
        assert running.stderr is not None
        assert b"first process" in running.stderr.readline()
        assert waits(running.pid)  # its handlers are set
        running.send_signal(signal.SIGTERM)
        assert b"Shutting down" in running.stderr.readline()
        assert running.wait(timeout=30) == 0


def test_one_tag_leads_to_both_and_a_second_push_sends_nothing(bundles: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as registry:
        place = f"{registry.host}/site/hello"
        site = f"{registry.host}/hub"
        first, again = (
            json.loads(sealift("push", *bundles.values(), f"{place}:v1", "--images", site, "--json")) for _ in range(2)
        )
        assert first["sent"]["manifests"] and not any(again["sent"].values())
        assert first["digest"] == again["digest"]
        for architecture, bundle in bundles.items():
            platform, output = f"linux/{architecture}", tmp_path / architecture
            chosen = sealift("pull", f"{place}:v1", "--platform", platform, "--output", output / "chosen")
            alone = sealift("pull", f"{place}:v1-linux-{architecture}", "--output", output / "alone")
            assert contents(Path(chosen.strip())) == contents(Path(alone.strip())) == contents(bundle)
            assert _architecture(f"{registry.host}/hub/rancher/hello-pause:v0.1.0", architecture) == architecture


def _architecture(image: str, wanted: str) -> str:
    """What skopeo finds for a platform."""
    words = ["skopeo", "inspect", "--override-arch", wanted, "--tls-verify=false", "--format", "{{.Architecture}}"]
    return subprocess.run([*words, f"docker://{image}"], capture_output=True, text=True, check=True).stdout.strip()


def waits(pid: int) -> bool:
    """Whether a process comes to wait for nothing but signals: pause, rt_sigsuspend, ppoll (syscalls of x86-64)."""
    for _ in range(600):
        if Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("34", "130", "271"):
            return True
        time.sleep(0.05)
    return False


def _machine(program: Path) -> int:
    """The machine that its header says."""
    found = elf_facts(program.read_bytes())
    assert found is not None
    return found.machine


def test_a_mirrored_image_and_a_package_are_each_platforms_own_and_kept_in_one_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALIFT_STORE", str(tmp_path / "store"))
    (tmp_path / "registry").mkdir()
    with running_registry(tmp_path / "registry") as registry:
        arm = push(registry, "up/many", None, [layer({"a": b"arm"})], architecture="arm64")
        amd = push(registry, "up/many", None, [layer({"a": b"amd"})])
        push_index(registry, "up/many", "v1", [arm, amd])
        recipe = taking_recipe(tmp_path / "recipe", {"many": f"mirror: {registry.host}/up/many:v1"})
        _for_both(recipe)
        sealift("lock", recipe)
        sealift("fetch", recipe, "--to", tmp_path / "inputs")
    monkeypatch.setenv("SEALIFT_STORE", str(tmp_path / "cold"))  # and the registry is gone
    words = ("build", recipe, "--inputs", tmp_path / "inputs", "--offline", "--output", tmp_path / "out")
    bundles = [Path(line) for line in sealift(*words).split()]
    documents = [json.loads((bundle / "bundle.json").read_bytes()) for bundle in bundles]
    assert [one["platform"] for one in documents] == ["linux/arm64", "linux/amd64"]
    for document, image in zip(documents, (arm, amd), strict=True):
        assert image.digest.hex in json.dumps(document["images"])


def _for_both(recipe: Path) -> None:
    """A recipe of one platform, and a Debian program in it -> of two."""
    bundle = recipe / "bundle.yaml"
    bundle.write_text(bundle.read_text().replace("[linux/amd64]", "[linux/amd64, linux/arm64]"))
    components, images = recipe / "components.yaml", recipe / "images.yaml"
    more = "hostname:\n  deb: hostname=3.23+nmu1\n  files: [/bin/hostname]\n"
    components.write_text((components.read_text() if components.exists() else "") + more)
    images.write_text(images.read_text().replace("  layers:\n", "  layers:\n    - hostname: /bin\n", 1))
