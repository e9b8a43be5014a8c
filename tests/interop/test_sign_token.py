"""A key that never leaves its PKCS#11 token signs a bundle, through the script that docs/signing.md shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bundles.trust import require
from bundles.verify import verify_bundle
from tests.support.bundles import add_documents, make_bundle

DOCS = Path(__file__).resolve().parents[2] / "docs/signing.md"
SEALIFT = Path(sys.executable).parent / "sealift"
MODULE = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.fixture
def token(tmp_path: Path) -> dict[str, str]:
    """The environment in which a software token holds a P-256 key with the id 01."""
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SOFTHSM2_CONF": str(tmp_path / "softhsm.conf"),
        "MODULE": MODULE,
        "PIN": "5678",
    }
    words = ["softhsm2-util", "--init-token", "--free", "--label", "test", "--so-pin", "1234", "--pin", "5678"]
    subprocess.run(words, env=environment, check=True, capture_output=True)
    tool = ["pkcs11-tool", "--module", MODULE, "--login", "--pin", "env:PIN", "--id", "01"]
    for what in (
        ["--keypairgen", "--key-type", "EC:prime256v1"],
        ["--read-object", "--type", "pubkey", "--output-file", str(tmp_path / "pub.der")],
    ):
        subprocess.run([*tool, *what], env=environment, check=True, capture_output=True)
    write: list[str | Path] = [
        "openssl",
        "pkey",
        "-pubin",
        "-inform",
        "DER",
        "-in",
        tmp_path / "pub.der",
        "-out",
        tmp_path / "token.pub",
    ]
    subprocess.run(write, check=True)
    return environment


def test_a_token_signs_a_bundle_through_the_documented_script(token: dict[str, str], tmp_path: Path) -> None:
    found = re.search(r"```\n(#!/bin/sh\n.*?pkcs11-tool.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    script = tmp_path / "sign-with-token"
    script.write_text(found[1])
    script.chmod(0o755)
    bundle = make_bundle(tmp_path, big=10)
    add_documents(bundle)
    words: list[str | Path] = [
        SEALIFT,
        "sign",
        bundle,
        "--signer",
        f"exec:{script}",
        "--public",
        tmp_path / "token.pub",
    ]
    done = subprocess.run(words, env=token, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5
    assert verify_bundle(bundle, require(key=tmp_path / "token.pub")).decision.signers
