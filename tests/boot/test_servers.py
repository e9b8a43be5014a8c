"""Three servers of the real bundle: joining, losing one, snapshots and restores, each on machines of namespaces."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.prove.ledger import Ledger
from tests.support.sites import held_ledger, site

pytestmark = pytest.mark.real


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with held_ledger(tmp_path) as own:
        yield own


def test_a_second_server_joins(ledger: Ledger, tmp_path: Path, rke2_bundle: Path) -> None:
    async def inside() -> None:
        async with site(ledger, tmp_path, rke2_bundle, "server", "server") as (first, second):
            began = time.monotonic()
            await first.start()
            await first.until_ready()
            print(f"first Ready after {time.monotonic() - began:.1f} s")
            second.config = {"server": first.url, "token": first.secret("token")}
            began = time.monotonic()
            await second.start()
            try:
                await second.until_ready()
            finally:
                print(second.log.read_text()[-5000:])
                print(first.log.read_text()[-2500:])
            print(f"second Ready after {time.monotonic() - began:.1f} s")
            print(await second.kubectl("get", "nodes,leases", "-A", "-o", "wide"))

    asyncio.run(inside())
