"""The power goes after each single write of a flow: nothing half is visible, the next run completes the same bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bundles.files import fsync_directory, temp_name, write_atomic
from runtime.daemon.journal import journal_path
from runtime.daemon.status import as_tree, read_status
from runtime.layout import NodeLayout
from runtime.record import State, state_of
from tests.support.disk_images import every_crash, materialise
from tests.support.recording import unsynced
from tests.support.recording_batch import Batched
from tests.support.recording_boot import Boot
from tests.support.recording_build import Build, Pack
from tests.support.recording_inputs import Keep
from tests.support.recording_node import NodeFlow, node_flows
from tests.support.recording_replay import Broken, Flow, record, replay
from tests.support.recording_wrong import Notes, without_fsync, without_fsync_of_the_folder, without_rename

FLOWS: dict[str, Callable[[Path], Flow]] = {
    "build": lambda home: Build(home),
    "build in place of another": lambda home: Build(home, replace=True),
    "pack": lambda home: Pack(home),
    "fetch --to beside another release": lambda home: Keep(home),
    "documents and receipts in one batch": lambda home: Batched(home),
    **node_flows(),
    "first start": lambda home: Boot(home),
}


@pytest.mark.parametrize("name", FLOWS)
def test_after_a_crash_at_any_write_the_next_run_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    done = replay(FLOWS[name](tmp_path))
    print(f"{name}: {done.operations} operations, {done.images} disks looked at, {done.states} different ones replayed")
    assert done.states > 2


def test_a_node_starts_after_a_crash_at_any_write_of_an_upgrade(tmp_path: Path) -> None:
    """It runs the old release or the new one, whole; nobody has to stage again."""
    flow: NodeFlow = node_flows()["stage an upgrade"](tmp_path)
    recording = record(flow)
    releases = {(bundle.name, (bundle / "bundle.json").read_bytes()) for bundle in (flow.old, flow.new)}
    admitted = set()
    with unsynced():
        for crash in every_crash(recording.before, recording.events, flow.shape):
            materialise(crash.image, flow.root)
            version = flow.node.extract()
            flow.check()
            layout = flow.node.layout
            assert not layout.admitting.exists() and state_of(layout.version(version.key)) is State.OURS
            assert layout.bin_link.resolve() == version.folder / "bin"
            admitted.add(version.reference)
    assert len(admitted) == len(releases) == 2


def test_a_writer_that_keeps_the_rules_passes(tmp_path: Path) -> None:
    assert replay(Notes(tmp_path, lambda path, data: write_atomic(path, data))).states > 2


@pytest.mark.parametrize("wrong", [without_fsync, without_fsync_of_the_folder, without_rename])
def test_a_writer_that_breaks_a_rule_is_caught(wrong: Callable[[Path, bytes], object], tmp_path: Path) -> None:
    with pytest.raises(Broken):
        replay(Notes(tmp_path, wrong))


def test_what_is_written_past_the_recorder_is_noticed(tmp_path: Path) -> None:
    def past(path: Path, data: bytes) -> None:
        import subprocess

        subprocess.run(["cp", "/dev/stdin", path], input=data, check=True)

    with pytest.raises(Broken, match="did not see all"):
        replay(Notes(tmp_path, past))


def test_two_files_in_the_wrong_order_are_caught(tmp_path: Path) -> None:
    """The note that says what is there must not be durable before what is there."""

    def second_first(path: Path, data: bytes) -> None:
        write_atomic(path.with_name("note"), data)
        write_atomic(path, data)

    with pytest.raises(Broken, match="noted, but not there"):
        replay(Notes(tmp_path, second_first))


def test_a_name_that_was_not_used_before_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    """An inode number that is used again is another file."""

    def twice(path: Path, data: bytes) -> None:
        for _ in range(3):
            temp = temp_name(path)
            temp.write_bytes(b"something else")
            temp.unlink()
        write_atomic(path, data)
        fsync_directory(path.parent)

    assert replay(Notes(tmp_path, twice)).states > 2


def test_status_after_a_power_cut_says_that_no_daemon_runs(tmp_path: Path) -> None:
    """The daemon's journal is not synced: after a power cut it may be empty, or end in zeros."""
    layout = NodeLayout.at(tmp_path)
    layout.admitted.parent.mkdir(parents=True)
    for left in (b"", b'{"bundle":' + bytes(100)):
        journal_path(layout).write_bytes(left)
        status = read_status(layout)
        assert status.pid is None and not status.ready and as_tree(status)
