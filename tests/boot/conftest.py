"""The real bundles of `make test`, and the ledger of boots: one at a time on a machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.prove.ledger import Ledger
from tests.interop.conftest import modern_bundle as modern_bundle
from tests.interop.conftest import rke2_bundle as rke2_bundle
from tests.support.sites import held_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """This test's own, taken back at its end."""
    with held_ledger(tmp_path) as own:
        yield own
