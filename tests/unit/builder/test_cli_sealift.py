"""The builder's command line: exit codes, where words go, and forms that scripts rely on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bundles.signing.keys import generate
from tests.support import policies
from tests.support.recipes import tiny_recipe

SEALIFT = Path(sys.executable).parent / "sealift"


def sealift(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SEALIFT, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("cli")
    recipe = tiny_recipe(home / "recipe")
    done = sealift("build", recipe, "--output", home / "out", "--store", home / "store", "--progress", "none")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return Path(done.stdout.splitlines()[-1])


def test_the_last_line_of_build_is_the_bundles_folder(bundle: Path) -> None:
    assert bundle.name == "tiny-v1.0.0-classic-linux-amd64"
    assert (bundle / "bundle.json").is_file()


def test_build_signs_what_it_built_and_reads_the_key_first(bundle: Path, tmp_path: Path) -> None:
    recipe, store = bundle.parents[1] / "recipe", bundle.parents[1] / "store"
    (tmp_path / "pass").write_text("pw")
    (tmp_path / "wrong").write_text("wrong")
    assert sealift("keygen", tmp_path / "k", "--password-file", tmp_path / "pass").returncode == 0
    words: list[str | Path] = ["build", recipe, "--store", store, "--progress", "none", "--sign", tmp_path / "k.key"]
    done = sealift(*words, "--output", tmp_path / "none", "--password-file", tmp_path / "wrong")
    assert done.returncode == 1 and not (tmp_path / "none").exists()
    done = sealift(*words, "--output", tmp_path / "out", "--password-file", tmp_path / "pass")
    assert done.returncode == 0, done.stderr
    assert sealift("verify", done.stdout.splitlines()[-1], "--key", tmp_path / "k.pub").returncode == 0


def test_verify_without_a_word_about_trust_exits_3(bundle: Path) -> None:
    done = sealift("verify", bundle)
    assert (done.returncode, done.stdout) == (3, "")
    assert "--insecure-no-signature" in done.stderr


@pytest.mark.parametrize("flag", ["--key", "--policy"])
def test_a_bundle_without_signature_is_refused_for_trust(bundle: Path, tmp_path: Path, flag: str) -> None:
    pem = generate("ed25519").public.pem
    (tmp_path / "trust").write_bytes(pem if flag == "--key" else policies.encode(policies.document()))
    done = sealift("verify", bundle, flag, tmp_path / "trust")
    assert done.returncode == 3 and "not signed" in done.stderr


def test_verify_takes_a_bundle_an_archive_and_a_packed_file(bundle: Path, tmp_path: Path) -> None:
    archive = bundle / "images/rke2-runtime.linux-amd64.tar"
    assert sealift("verify", bundle, "--insecure-no-signature").returncode == 0
    assert sealift("verify", bundle, "--quick", "--insecure-no-signature").returncode == 0
    assert "rke2-runtime" in sealift("verify", archive).stdout
    packed = sealift("pack", bundle, "--output", tmp_path / "carry.sealift").stdout.strip()
    assert sealift("verify", packed, "--insecure-no-signature").returncode == 0


def test_inspect_says_the_same_of_a_folder_and_of_its_packed_file(bundle: Path, tmp_path: Path) -> None:
    packed = sealift("pack", bundle, "--output", tmp_path / "carry.sealift").stdout.strip()
    folder_said = json.loads(sealift("inspect", bundle, "--json").stdout)
    packed_said = json.loads(sealift("inspect", packed, "--json").stdout)
    assert {**folder_said, "bundle": ""} == {**packed_said, "bundle": ""}
    assert folder_said["runtime"]["reference"] == "docker.io/rancher/rke2-runtime:v1.0.0-classic"


def test_inspect_of_an_archive(bundle: Path) -> None:
    said = json.loads(sealift("inspect", bundle / "images/rke2-runtime.linux-amd64.tar", "--json").stdout)
    assert said["images"][0]["platform"] == "linux/amd64" and len(said["images"][0]["layers"]) == 3


def test_diff_of_a_bundle_with_itself(bundle: Path) -> None:
    assert "the same bundle" in sealift("diff", bundle, bundle).stdout
    assert json.loads(sealift("diff", bundle, bundle, "--json").stdout)["carry"]["new_bytes"] == 0


def test_plan_and_why(bundle: Path) -> None:
    recipe, store = bundle.parents[1] / "recipe", bundle.parents[1] / "store"
    planned = json.loads(sealift("plan", recipe, "--store", store, "--json").stdout)
    assert all(step["cached"] for step in planned["steps"]) and len(planned["steps"]) == 9
    said = sealift("why", recipe, "tool").stdout
    assert "layer 1 of image rke2-runtime" in said
    assert sealift("why", recipe, "nothing-like-it").returncode == 1


def test_wrong_usage_exits_2_and_shows_no_traceback(tmp_path: Path) -> None:
    for arguments in (["nonsense"], ["build"], ["build", tmp_path, "--output", tmp_path], ["plan", tmp_path / "none"]):
        done = sealift(*arguments)
        assert done.returncode == 2, done
        assert "Traceback" not in done.stderr


def test_an_error_as_json(tmp_path: Path) -> None:
    done = sealift("inspect", tmp_path / "none.tar", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["message"] == "no such file"


def test_version() -> None:
    assert sealift("--version").stdout.startswith("sealift 0.")
