"""The whole way of docs/trust.md on the real bundle: keys, a policy, two signers of three, a node, and who tampers."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cosigning import PASSPHRASE, Cosign, cosign
from tests.support.damage import flip
from tests.support.node import PROGRAMS

pytestmark = pytest.mark.real
PAGE = Path(__file__).resolve().parents[2] / "docs/trust.md"
NAMES = ("root", "release", "builder", "third", "root2")


def run(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of ours with the passphrase in its environment."""
    env = {"PATH": os.environ["PATH"], "COSIGN_PASSWORD": PASSPHRASE}
    return subprocess.run([PROGRAMS / program, *words], env=env, capture_output=True, text=True)


def sealift(*words: str | Path) -> str:
    done = run("sealift", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Fleet:
    """Keys, a signed bundle and a node's data directory, below one folder on the bundle's filesystem."""

    root: Path
    bundle: Path
    data: Path
    cosign: Cosign

    def node(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return run("sealift-node", *words, "--data-dir", self.data)

    def key(self, name: str) -> Path:
        return self.root / f"{name}.key"

    def policy(self, *signers: str, **changes: Any) -> Path:
        """The documented policy with these keys, changed, signed, in a folder of its own."""
        found = re.search(r"<!-- example.*?```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
        assert found is not None
        document = json.loads(found[1])
        document["keys"] = {name: (self.root / f"{name}.pub").read_text() for name in document["keys"]}
        document |= changes
        folder = self.root / f"policy-{document['sequence']}-{'-'.join(signers)}"
        folder.mkdir()
        path = folder / "policy.json"
        path.write_text(json.dumps(document))
        for name in signers:
            sealift("sign", path, "--key", self.key(name))
        return path

    def copy(self, name: str) -> Path:
        """The bundle by hard links: what a test changes in it, it has to replace."""
        target = self.root / name
        shutil.copytree(self.bundle, target, copy_function=os.link)
        return target


def replaced(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


@pytest.fixture(scope="module")
def fleet(rke2_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("fleet")
    for name in NAMES:
        sealift("keygen", home / name)
    bundle = home / rke2_bundle.name
    shutil.copytree(rke2_bundle, bundle, copy_function=_link)
    tool = cosign(3, home / "cosign")
    sealift("sign", bundle, "--key", home / "release.key", "--quick", "--progress", "none")
    config = tool.signing[-1]
    program = f"exec:{tool.program} sign-blob --key {home}/builder.key --signing-config {config} -y"
    words: list[str | Path] = [f"{program} --bundle /dev/stdout -", "--public", home / "builder.pub"]
    sealift("sign", bundle, "--quick", "--progress", "none", "--signer", *words)
    yield Fleet(home, bundle, home / "node/rke2", tool)
    shutil.rmtree(home)


def _link(source: str, target: str) -> None:
    """The large files by hard links where that works; what is signed beside them is new."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def test_the_documented_policy_lets_in_what_two_of_three_signed_and_says_so(fleet: Fleet) -> None:
    done = fleet.node("policy", "update", fleet.policy("root"))
    assert done.returncode == 0, done.stderr
    done = fleet.node("stage", fleet.bundle)
    assert done.returncode == 0, done.stderr
    log = [json.loads(line) for line in fleet.node("audit", "--json").stdout.splitlines()]
    assert [(one["event"], one["result"]) for one in log] == [("policy", "admitted"), ("stage", "admitted")]
    assert len(log[1]["details"]["signers"].split(", ")) == 2
    assert fleet.cosign.accepts_bundle(
        fleet.root / "release.pub", fleet.bundle / "bundle.json.sigstore.json", fleet.bundle / "bundle.json"
    )


def test_what_was_tampered_with_is_refused_and_written_down(fleet: Fleet) -> None:
    one = fleet.copy("one-signature")
    for path in [path for path in one.iterdir() if re.search(r"\.[0-9a-f]{16}\.", path.name)]:
        path.unlink()
    index = fleet.copy("index")
    replaced(index / "bundle.json", (index / "bundle.json").read_bytes().replace(b'"sequence":', b'"sequence":1', 1))
    said = fleet.copy("provenance")
    (path,) = said.glob("provenance.sigstore.json")
    replaced(path, path.read_bytes().replace(b'"payload":"ey', b'"payload":"eX', 1))
    archive = fleet.copy("archive")
    largest = max((archive / "images").iterdir(), key=lambda path: path.stat().st_size)
    data = largest.read_bytes()
    replaced(largest, data)
    flip(largest, len(data) // 2)
    # A second node: the first one has the bundle, and takes its own whole copy of what is damaged elsewhere.
    second = Fleet(fleet.root, fleet.bundle, fleet.root / "second/rke2", fleet.cosign)
    assert second.node("policy", "update", fleet.policy("root", sequence=7)).returncode == 0
    for bundle, why in ((one, "as the policy asks"), (index, "something else"), (said, "does not hold")):
        done = second.node("stage", bundle)
        assert done.returncode == 3 and why in done.stderr, f"{bundle.name}: {done.stderr}"
    done = second.node("stage", archive)
    assert done.returncode == 1 and "damaged blob" in done.stderr
    assert not list((second.data / "agent/images").glob("*")) and not list((second.data / "sealift/bundles").glob("*"))
    for flags in (["--insecure-no-signature"], ["--key", fleet.root / "third.pub"]):
        done = second.node("stage", fleet.bundle, *flags)
        assert done.returncode == 3 and "is in force here" in done.stderr
    lines = second.node("audit").stdout.splitlines()
    assert sum(" refused " in line for line in lines) == 5


def test_keys_are_rotated_and_revoked_across_the_gap(fleet: Fleet) -> None:
    """The root key changes hands; then the release key is stolen, and what it signed needs others."""
    keys = {name: (fleet.root / f"{name}.pub").read_text() for name in NAMES if name != "release"}
    stolen = json.loads(fleet.node("policy", "show", "--json").stdout)["keys"]["release"]
    left = {"names": ["rke2-*"], "signers": ["builder", "third"], "threshold": 2}
    change: dict[str, Any] = {
        "sequence": 2,
        "keys": keys,
        "update": {"signers": ["root2"]},
        "bundles": [left],
        "revoked": ["sha256:" + "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2, stolen],
    }
    alone = fleet.node("policy", "update", fleet.policy("root2", **change))
    assert alone.returncode == 3 and "update keys of the policy in force" in alone.stderr
    both = fleet.policy("root", "root2", **change)
    assert fleet.node("policy", "update", both).returncode == 0
    assert fleet.node("policy", "update", fleet.root / "policy-1-root/policy.json").returncode == 3, "the old one again"
    assert fleet.node("extract").returncode == 3, "one signature is left of two"
    again: list[str | Path] = [fleet.bundle, "--quick", "--progress", "none", "--key", fleet.key("third")]
    sealift("sign", *again)
    done = fleet.node("stage", fleet.bundle)
    assert done.returncode == 0, done.stderr
    assert fleet.node("audit").returncode == 0
