"""The store: content by digest, receipts, locks, upkeep."""

import os
import threading
from pathlib import Path

import pytest

from builder.plan.model import Output, Receipt
from builder.store import Store, default_root
from builder.store_frames import StoreFrames
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.layers.model import BodyFrames, BodySource, FrameCache, FrameKey, Sink

STEP = Digest.of(b"step")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def left_over(store: Store) -> list[Path]:
    return list((store.root / "tmp").iterdir())


def test_the_root_follows_the_environment() -> None:
    assert default_root({"SEALIFT_STORE": "/s", "XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/s")
    assert default_root({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/sealift")
    assert default_root({"HOME": "/h"}) == Path("/h/.cache/sealift")


def test_bytes_come_back_by_their_digest(store: Store) -> None:
    digest = store.put(b"content")
    assert digest == Digest.of(b"content") and store.has(digest, 7) and not store.has(digest, 8)
    assert store.read(digest) == b"content"
    with store.open(digest) as file:
        assert file.read() == b"content"
    assert store.path(digest).stat().st_mode & 0o777 == 0o444
    assert left_over(store) == []


def test_what_is_put_in_a_batch_is_all_there_at_its_end_whoever_put_it_and_after_an_error(store: Store) -> None:
    contents = [b"%d" % number for number in range(300)]
    half = len(contents) // 2
    with pytest.raises(KeyError), store.batch() as batch:
        other = threading.Thread(target=lambda: [batch.put(data) for data in contents[:half]])
        other.start()
        found = [batch.put(data) for data in contents[half:] + contents[half:]]
        other.join()
        raise KeyError
    assert found[:half] == [Digest.of(data) for data in contents[half:]]
    for data in contents:
        assert store.read(Digest.of(data)) == data
        assert store.path(Digest.of(data)).stat().st_mode & 0o777 == 0o444
    assert not left_over(store)


def test_receipts_of_a_batch_are_there_at_its_end_and_name_nothing_that_is_not(store: Store) -> None:
    steps = [Digest.of(b"step %d" % number) for number in range(300)]
    with store.batch() as batch:
        for step in steps:
            output = Output(digest=batch.put(step.hex.encode()), size=64)
            batch.finish(step, Receipt(outputs={"it": output}, facts={"about": step.hex}))
    for step in steps:
        found = store.receipt(step)
        assert found is not None and found.facts == {"about": step.hex}
    with pytest.raises(MissingError), store.batch() as batch:
        batch.finish(STEP, Receipt(outputs={"it": Output(digest=Digest.of(b"absent"), size=6)}))
    assert store.receipt(STEP) is None and not left_over(store)


def test_missing_content_is_named(store: Store) -> None:
    with pytest.raises(MissingError, match="sha256:"):
        store.open(STEP)
    assert not store.has(STEP)


def test_damaged_content_is_noticed_when_read_whole(store: Store) -> None:
    digest = store.put(b"content")
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(b"CONTENT")
    with pytest.raises(FormatError, match="damaged in the store"):
        store.read(digest)


def test_files_are_copied_and_modes_noted(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"program")
    output = store.put_file(tmp_path / "file", 0o755)
    assert output == Output(digest=Digest.of(b"program"), size=7, mode=0o755)
    assert (tmp_path / "file").exists() and store.read(output.digest) == b"program"


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_only_regular_files_are_taken(store: Store, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd"
    if kind == "symlink":
        path.symlink_to("/etc/passwd")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(SealiftError):
        store.put_file(path)
    assert left_over(store) == []


def test_content_that_differs_from_its_digest_is_not_kept(store: Store) -> None:
    with pytest.raises(FormatError), store.writing(STEP) as writer:
        writer.write(b"other")
    assert not store.has(Digest.of(b"other")) and left_over(store) == []


def test_broken_off_writing_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.writing() as writer:
        writer.write(b"half")
        raise RuntimeError
    assert left_over(store) == [] and list((store.root / "blobs/sha256").iterdir()) == []


def test_a_receipt_comes_back_as_written(store: Store) -> None:
    output = Output(digest=store.put(b"x"), size=1, mode=0o755)
    receipt = Receipt(outputs={"x": output}, facts={"static": True, "modules": ["a", "b"], "size": 1})
    store.write_receipt(STEP, receipt)
    assert store.receipt(STEP) == receipt
    assert store.receipt(Digest.of(b"other")) is None


def test_a_receipt_counts_only_while_its_outputs_are_whole(store: Store) -> None:
    digest = store.put(b"x")
    store.write_receipt(STEP, Receipt(outputs={"x": Output(digest=digest, size=1)}))
    store.path(digest).unlink()
    assert store.receipt(STEP) is None
    store.put(b"x")
    assert store.receipt(STEP) is not None
    (store.root / "steps" / f"{STEP.hex}.json").write_bytes(b'{"outputs": 3')
    assert store.receipt(STEP) is None


def test_no_receipt_is_written_before_its_outputs(store: Store) -> None:
    with pytest.raises(MissingError):
        store.write_receipt(STEP, Receipt(outputs={"x": Output(digest=STEP, size=1)}))


def test_collect_keeps_what_is_named_and_says_what_it_removed(store: Store) -> None:
    kept, gone, named = store.put(b"kept"), store.put(b"gone"), store.put(b"named")
    other = Digest.of(b"other step")
    store.write_receipt(STEP, Receipt(outputs={"k": Output(digest=kept, size=4)}))
    store.write_receipt(other, Receipt(outputs={"g": Output(digest=gone, size=4)}))
    collected = store.collect({STEP}, {named})
    assert (collected.files, collected.size > 0) == (2, True)
    assert store.has(kept) and store.has(named) and not store.has(gone)
    assert store.receipt(STEP) and not store.receipt(other)


def test_collect_refuses_while_the_store_is_in_use(store: Store) -> None:
    other = Store(store.root)
    with other.lock(), pytest.raises(SealiftError, match="in use"):
        store.collect(())
    with store.lock(), other.lock():
        pass  # builds share it
    store.collect(())


def test_an_exclusive_lock_lets_one_in_at_a_time(store: Store) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with Store(store.root).lock("one", exclusive=True):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_folders_of_a_step_are_removed_even_when_made_read_only(store: Store) -> None:
    with store.temp_folder() as folder:
        (folder / "a").mkdir()
        (folder / "a/b").write_bytes(b"")
        (folder / "a").chmod(0o500)
    assert left_over(store) == []


def test_sizes_are_told_for_each_part(store: Store) -> None:
    store.put(b"x" * 100_000)
    assert store.size()["blobs"] >= 100_000
    assert set(store.size()) == {"blobs", "steps", "frames", "sources", "go", "logs", "roots", "tmp", "locks"}


def test_frames_are_remembered_while_their_blob_is_whole(store: Store) -> None:
    cache: FrameCache = StoreFrames(store)
    source: BodySource = store
    sink: Sink = store
    with sink.writing() as writer:
        writer.write(b"frames")
    key = FrameKey(content=Digest.of(b"body"), zstd="1.5.7", level=3)
    frames = BodyFrames(blob=writer.digest, size=6, frames=((6, 100),))
    assert cache.get(key) is None
    cache.put(key, frames)
    assert cache.get(key) == frames
    with source.open(frames.blob) as file:
        assert file.read() == b"frames"
    (store.frames / f"{key}.json").write_bytes(b"{}")
    assert cache.get(key) is None
    cache.put(key, frames)
    store.path(frames.blob).unlink()
    assert cache.get(key) is None
