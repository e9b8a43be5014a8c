"""Large files are removed without a wait: the name goes at once, the bytes behind it."""

import os
import threading
from pathlib import Path

import pytest

from bundles.files import unlink_large


def test_the_name_is_gone_when_it_returns_and_the_bytes_when_its_thread_ends(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 4096)
    watch = os.open(large, os.O_PATH)
    before = _open_files()
    try:
        unlink_large(large)
        assert not large.exists()
        _wait_for_unlinking()
        assert os.fstat(watch).st_nlink == 0
        assert _open_files() == before
    finally:
        os.close(watch)


def test_another_name_of_the_file_keeps_its_bytes(tmp_path: Path) -> None:
    large, other = tmp_path / "large", tmp_path / "other"
    large.write_bytes(b"kept")
    other.hardlink_to(large)
    unlink_large(large)
    _wait_for_unlinking()
    assert (large.exists(), other.read_bytes()) == (False, b"kept")


def test_a_link_is_not_followed_and_a_folder_stays(tmp_path: Path) -> None:
    target, link, folder = tmp_path / "target", tmp_path / "link", tmp_path / "folder"
    target.write_bytes(b"kept")
    link.symlink_to(target)
    folder.mkdir()
    before = _open_files()
    for path in (link, folder):
        with pytest.raises(OSError):
            unlink_large(path)
    assert (target.read_bytes(), link.is_symlink(), folder.is_dir()) == (b"kept", True, True)
    assert _open_files() == before


def test_without_another_thread_it_waits_and_keeps_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    large = tmp_path / "large"
    large.write_bytes(b"x")
    before = _open_files()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        unlink_large(large)
    assert (large.exists(), _open_files()) == (False, before)


def _wait_for_unlinking() -> None:
    for thread in threading.enumerate():
        if thread.name == "unlink":
            thread.join()


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
