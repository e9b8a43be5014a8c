"""The real bundles that `make test` builds before it runs the tests. Missing ones fail: nothing is skipped silently."""

from pathlib import Path

import pytest

from bundles import index
from tests.support.gotools import go_tool

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ROOT / "out/bundles"


def _bundle(prefix: str, flavour: str = "classic") -> Path:
    indexes = sorted(BUNDLES.glob(f"{prefix}-v*-linux-amd64/{index.INDEX_NAME}"))
    found = [path.parent for path in indexes if index.decode(path.read_bytes()).flavour == flavour]
    if len(found) != 1:
        pytest.fail(f"want one {flavour} {prefix} bundle below {BUNDLES}, got {len(found)}: run make bundle first")
    return found[0]


@pytest.fixture(scope="session")
def rke2_bundle() -> Path:
    return _bundle("rke2")


@pytest.fixture(scope="session")
def modern_bundle() -> Path:
    """recipes/rke2-v1.34-modern: for a stock RKE2, with containerd 2."""
    return _bundle("rke2", "modern")


@pytest.fixture(scope="session")
def hello_bundle() -> Path:
    return _bundle("hello")


@pytest.fixture(scope="session")
def wharfie() -> Path:
    """RKE2's own reader as a program: see tests/tools/wharfie."""
    return go_tool("wharfie")


@pytest.fixture(scope="session")
def helm() -> Path:
    return go_tool("helm", "helm.sh/helm/v3/cmd/helm")
