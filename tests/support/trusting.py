"""A site with a node whose gate is driven from the command line, in this process."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from builder.signing import sign_bundle, sign_policy
from bundles.talk import SilentProgress
from runtime import cli
from runtime.layout import NodeLayout
from runtime.trusting import memory
from runtime.trusting.memory import Memory
from runtime.trusting.places import TrustPlaces
from tests.support import policies
from tests.support.bundles import forge
from tests.support.releases import release

NOW = int(time.time())
DAY = 86_400
Run = Callable[..., tuple[int, str, str]]


def bundle(folder: Path, *signers: str, version: str = "v1.34.4-rke2r1", **changes: Any) -> Path:
    """A small bundle below `folder`, its index changed, signed by these keys."""
    folder.mkdir(parents=True, exist_ok=True)
    made = release(folder, version=version)
    forge(made, lambda document: msgspec.structs.replace(document, **changes))
    for name in signers:
        sign_bundle(made, policies.key(name), progress=SilentProgress())
    return made


def modern(folder: Path, *signers: str) -> Path:
    """One that plain RKE2 may run."""
    return bundle(folder, *signers, flavour="modern")


def write_policy(folder: Path, *signers: str, **changes: Any) -> Path:
    """A policy's file below `folder`, signed by `root` unless others are named."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "policy.json"
    path.write_bytes(policies.encode(policies.document(**changes)))
    for name in signers or ("root",):
        sign_policy(path, policies.key(name))
    return path


def public(folder: Path, name: str) -> Path:
    """The public key's file."""
    path = folder / f"{name}.pub"
    path.write_bytes(policies.key(name).public.pem)
    return path


@dataclass
class Site:
    """A folder with a node in it; `run` is `sealift-node ARGUMENTS --data-dir` -> exit code, stdout, stderr."""

    root: Path
    run: Run
    said: list[str] = field(default_factory=list)

    @property
    def layout(self) -> NodeLayout:
        return NodeLayout.at(self.root / "node" / "rke2")

    @property
    def memory(self) -> Memory:
        return memory.read(TrustPlaces.of(self.layout).memory)


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Site:
    """A node that nobody has touched."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.run([*map(str, arguments), "--data-dir", str(made.layout.data)])
        out, err = capsys.readouterr()
        return code, out, err

    made = Site(tmp_path, run)
    return made
