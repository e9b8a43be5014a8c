"""A full, failing or read-only disk at each place that writes: a clear error, nothing lost, the next run completes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bundles.errors import SealiftError
from bundles.files import atomic_writer, write_atomic
from tests.support.faults import FAULTS, FEW, Fault, every_fault
from tests.support.recording import recorded
from tests.support.recording_batch import Batched
from tests.support.recording_boot import Boot
from tests.support.recording_build import Build, Pack
from tests.support.recording_node import node_flows
from tests.support.recording_replay import Broken, Flow
from tests.support.recording_wrong import Notes, without_fsync

NODE = node_flows()
FLOWS: dict[str, tuple[Callable[[Path], Flow], tuple[Fault, ...]]] = {
    "build": (lambda home: Build(home), FEW),
    "build in place of another": (lambda home: Build(home, replace=True), FEW),
    "pack": (lambda home: Pack(home), FAULTS),
    "stage": (NODE["stage"], FEW),
    "stage over damage": (NODE["stage over damage"], FEW),
    "stage an upgrade": (NODE["stage an upgrade"], FEW),
    "extract an upgrade": (NODE["extract an upgrade"], FEW),
    "extract in place": (NODE["extract in place"], FAULTS),
    "documents and receipts in one batch": (lambda home: Batched(home), FAULTS),
    "first start": (lambda home: Boot(home), FEW),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_disk_that_refuses_any_write_is_said_and_nothing_is_lost(name: str, tmp_path: Path) -> None:
    flow, faults = FLOWS[name]
    places, tried = every_fault(flow(tmp_path), faults)
    print(f"{name}: {places} places, {tried} faults")
    assert tried > 2 * places > 10


def test_a_writer_that_lets_an_error_pass_as_it_is_is_caught(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="not an error of ours"):
        every_fault(Notes(tmp_path, without_fsync))


def test_a_writer_that_keeps_the_rules_passes_all_faults(tmp_path: Path) -> None:
    assert every_fault(Notes(tmp_path, lambda path, data: write_atomic(path, data)))[1] > 20


def test_the_error_of_a_full_disk_says_what_is_free_and_where(tmp_path: Path) -> None:
    class Full:
        def before(self, name: str, path: str) -> int | None:
            if name == "write":
                raise OSError(28, "No space left on device", path)
            return None

        def after(self, event: object) -> None:
            pass

    with recorded(tmp_path, Full()), pytest.raises(SealiftError) as caught, atomic_writer(tmp_path / "it") as writer:
        writer.write(b"data")
    assert caught.value.where == str(tmp_path / "it") and caught.value.got.endswith(" free")
    assert list(tmp_path.iterdir()) == []
