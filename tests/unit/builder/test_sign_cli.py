"""`sealift keygen` and `sealift sign`: what lands on disk, what is refused, and that no passphrase leaks."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bundles.signing import dsse, statement
from bundles.signing.keys import read_public_key
from bundles.trust import require
from bundles.verify import verify_bundle
from tests.support.bundles import add_documents, index_of, make_bundle

BIN = Path(sys.executable).parent
SECRET = "an-unlikely-passphrase-4711"


def sealift(
    *arguments: str | Path, env: dict[str, str] | None = None, pass_fds: tuple[int, ...] = (), program: str = "sealift"
) -> subprocess.CompletedProcess[str]:
    command = [BIN / program, *arguments]
    environment = {"PATH": os.environ["PATH"], **({"SEALIFT_PASSWORD": SECRET} if env is None else env)}
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, pass_fds=pass_fds
    )


def keygen(prefix: Path, *arguments: str) -> Path:
    done = sealift("keygen", prefix, *arguments)
    assert done.returncode == 0, done.stderr
    return prefix.with_suffix(".key")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keygen(tmp_path_factory.mktemp("key") / "k")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path, big=10)


def test_keygen_writes_a_private_key_for_its_owner_alone(tmp_path: Path) -> None:
    words: list[str | Path] = [BIN / "sealift", "keygen", tmp_path / "k"]
    subprocess.run(words, env={"SEALIFT_PASSWORD": SECRET}, capture_output=True, check=True, umask=0)
    private = tmp_path / "k.key"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert read_public_key((tmp_path / "k.pub").read_bytes(), where="k.pub").algorithm == "ecdsa-p256"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.key", "k.pub"]


@pytest.mark.parametrize("there", ["k.key", "k.pub"])
def test_keygen_overwrites_nothing(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    done = sealift("keygen", tmp_path / "k")
    assert done.returncode == 2 and "never overwritten" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_keygen_takes_the_name_as_an_option_too_and_says_the_id(tmp_path: Path) -> None:
    said = json.loads(sealift("keygen", "--output", tmp_path / "k", "--type", "ed25519", "--json").stdout)
    public = read_public_key((tmp_path / "k.pub").read_bytes(), where="k.pub")
    assert said["id"] == str(public.id) and public.algorithm == "ed25519"


def test_without_a_passphrase_and_a_terminal_nothing_is_made(tmp_path: Path) -> None:
    done = sealift("keygen", tmp_path / "k", env={})
    assert done.returncode == 2 and "--password-file" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_empty_passphrase_is_said_aloud(tmp_path: Path) -> None:
    done = sealift("keygen", tmp_path / "k", env={"COSIGN_PASSWORD": ""})
    assert done.returncode == 0 and "whoever can read the key can sign" in done.stderr


def test_the_passphrase_comes_from_a_file_a_descriptor_or_a_variable(key: Path, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "pass").write_text(SECRET + "\n")
    assert sealift("sign", bundle, "--key", key, "--password-file", tmp_path / "pass", env={}).returncode == 0
    assert sealift("sign", bundle, "--key", key, "--password-env", "MINE", env={"MINE": SECRET}).returncode == 0
    assert sealift("sign", bundle, "--key", key, env={"COSIGN_PASSWORD": SECRET}).returncode == 0
    with (tmp_path / "pass").open() as file:
        fd = str(file.fileno())
        done = sealift("sign", bundle, "--key", key, "--password-fd", fd, env={}, pass_fds=(file.fileno(),))
    assert done.returncode == 0, done.stderr
    both: list[str | Path] = ["--password-env", "MINE", "--password-file", tmp_path / "pass"]
    assert sealift("sign", bundle, "--key", key, *both, env={}).returncode == 2


def test_a_wrong_passphrase_signs_nothing_and_is_not_shown(key: Path, bundle: Path) -> None:
    done = sealift("sign", bundle, "--key", key, "--debug", "--json", env={"SEALIFT_PASSWORD": "wrong-" + SECRET})
    assert done.returncode == 1 and "wrong passphrase" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert not list(bundle.glob("*.sig"))


def test_signing_writes_both_forms_and_verify_key_accepts_them(key: Path, bundle: Path) -> None:
    before = (bundle / "bundle.json").read_bytes()
    done = sealift("sign", bundle, "--key", key)
    assert done.stdout.splitlines() == [str(bundle / f"bundle.json.{end}") for end in ("sigstore.json", "sig")]
    assert (bundle / "bundle.json").read_bytes() == before
    said = json.loads(sealift("verify", bundle, "--key", key.with_suffix(".pub"), "--json", env={}).stdout)
    assert said["ok"] and len(said["signers"]) == 1
    assert SECRET not in done.stdout + done.stderr


def test_signing_again_changes_nothing(key: Path, bundle: Path) -> None:
    contents = []
    for _ in range(2):
        assert sealift("sign", bundle, "--key", key).returncode == 0
        contents.append({path.name: path.read_bytes() for path in bundle.iterdir() if path.is_file()})
    assert contents[0] == contents[1]


def test_a_second_signer_is_added_and_both_travel_in_the_packed_file(key: Path, bundle: Path, tmp_path: Path) -> None:
    other = keygen(tmp_path / "other", "--type", "ed25519")
    for one in (key, other):
        assert sealift("sign", bundle, "--key", one).returncode == 0
    packed = tmp_path / "carry.sealift"
    assert sealift("pack", bundle, "--output", packed).returncode == 0
    for place in (bundle, packed):
        for one in (key, other):
            for program in ("sealift", "sealift-node"):
                done = sealift("verify", place, "--key", one.with_suffix(".pub"), program=program)
                assert done.returncode == 0, done.stderr


def test_a_bundle_that_does_not_hold_is_not_signed(key: Path, bundle: Path) -> None:
    archive = next((bundle / "images").iterdir())
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    assert sealift("sign", bundle, "--key", key).returncode == 1
    assert not list(bundle.glob("*.sig"))


def test_the_wrong_key_exits_3_and_so_does_a_key_of_another_kind(key: Path, bundle: Path, tmp_path: Path) -> None:
    assert sealift("sign", bundle, "--key", key).returncode == 0
    stranger = keygen(tmp_path / "stranger").with_suffix(".pub")
    words = ["openssl", "genpkey", "-algorithm", "RSA", "-outform", "PEM"]
    rsa = subprocess.run(words, check=True, capture_output=True).stdout
    words = ["openssl", "pkey", "-pubout"]
    (tmp_path / "rsa.pub").write_bytes(subprocess.run(words, input=rsa, check=True, capture_output=True).stdout)
    for program in ("sealift", "sealift-node"):
        done = sealift("verify", bundle, "--key", stranger, program=program)
        assert done.returncode == 3 and "not signed with the trusted key" in done.stderr
        done = sealift("verify", bundle, "--key", tmp_path / "rsa.pub", program=program)
        assert done.returncode == 3 and "RSA with 2048 bits" in done.stderr
    data = tmp_path / "data"
    assert sealift("stage", bundle, "--data-dir", data, "--key", stranger, program="sealift-node").returncode == 3
    assert not data.exists()
    done = sealift("stage", bundle, "--data-dir", data, "--key", key.with_suffix(".pub"), program="sealift-node")
    assert done.returncode == 0, done.stderr
    kept = data / "sealift/bundles" / bundle.name
    assert (kept / "bundle.json.sig").read_bytes() == (bundle / "bundle.json.sig").read_bytes()


def test_provenance_and_sboms_are_signed_as_statements_about_the_bundle(key: Path, bundle: Path) -> None:
    add_documents(bundle)
    assert sealift("sign", bundle, "--key", key).returncode == 0
    public = read_public_key(key.with_suffix(".pub").read_bytes(), where="k.pub")
    document = index_of(bundle)
    index = verify_bundle(bundle, require(key=key.with_suffix(".pub"))).index_digest
    for name in ("provenance", "sbom.spdx", "sbom.cdx"):
        path = bundle / f"{name}.sigstore.json"
        said = statement.decode(dsse.verify(path.read_bytes(), public, where=path), where=path)
        said.about(index, where=path)
        if name == "provenance":
            for archive in document.archives:
                said.about(archive.sha256, where=path)
        else:
            assert said.predicate == json.loads((bundle / f"{name}.json").read_bytes())


SIGNER = """#!/bin/sh
cat > "{folder}/stdin"; env > "{folder}/env"
openssl dgst -sha256 -sign "{folder}/plain.pem" "{folder}/stdin"
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A signer program over openssl, as a token's would be; its public key is beside it."""
    folder = tmp_path / "signer"
    folder.mkdir()
    make = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "plain.pem"]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", "plain.pem", "-pubout", "-out", "pub.pem"], cwd=folder, check=True)
    script = folder / "sign it"
    script.write_text(SIGNER.format(folder=folder))
    script.chmod(0o755)
    return script


def test_a_program_signs_what_it_reads(program: Path, bundle: Path) -> None:
    public = program.with_name("pub.pem")
    done = sealift("sign", bundle, "--signer", f"exec:'{program}'", "--public", public)
    assert done.returncode == 0, done.stderr
    assert sealift("verify", bundle, "--key", public).returncode == 0
    assert program.with_name("stdin").read_bytes() == (bundle / "bundle.json").read_bytes()
    environment = program.with_name("env").read_text()
    digest = verify_bundle(bundle, require(insecure=True)).index_digest
    assert f"SEALIFT_SHA256={digest.hex}" in environment and SECRET not in environment


@pytest.mark.parametrize("script", ["cat", "true", "echo AAAA", "exit 3", "head -c 100000 /dev/zero"])
def test_what_a_program_prints_is_checked_before_it_is_written(program: Path, bundle: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    done = sealift("sign", bundle, "--signer", f"exec:'{program}'", "--public", program.with_name("pub.pem"))
    assert done.returncode == 1, done.stderr
    assert not list(bundle.glob("bundle.json.*"))


def test_a_signer_needs_its_public_key_and_a_key_needs_no_signer(program: Path, key: Path, bundle: Path) -> None:
    for arguments in (["--signer", f"exec:'{program}'"], [], ["--key", str(key), "--signer", "exec:x"]):
        assert sealift("sign", bundle, *arguments).returncode == 2
    public = program.with_name("pub.pem")
    for text in ("pkcs11:token", "exec:", "exec:'open"):
        assert sealift("sign", bundle, "--signer", text, "--public", public).returncode == 2


def test_a_packed_bundle_is_signed_before_it_is_packed(key: Path, bundle: Path, tmp_path: Path) -> None:
    packed = tmp_path / "carry.sealift"
    assert sealift("pack", bundle, "--output", packed).returncode == 0
    before = packed.read_bytes()
    assert sealift("sign", packed, "--key", key).returncode in (1, 2)
    assert packed.read_bytes() == before and not list(tmp_path.glob("carry.sealift.*"))
