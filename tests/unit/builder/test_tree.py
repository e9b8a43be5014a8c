"""A source folder's digest: paths, executable bits and bytes, nothing else."""

import os
import shutil
from pathlib import Path

import pytest

from builder import tree
from builder.tree import file_digest, folder_digest, folder_files
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "src"
    (root / "a").mkdir(parents=True)
    (root / "a" / "x").write_bytes(b"x")
    (root / "a.txt").write_bytes(b"text")
    (root / "run").write_bytes(b"#!")
    (root / "run").chmod(0o755)
    return root


def test_files_are_listed_in_byte_order_with_plain_modes(folder: Path) -> None:
    (folder / "run").chmod(0o700)
    (folder / "a.txt").chmod(0o666)
    assert [(file.path, file.mode, file.size) for file in folder_files(folder)] == [
        ("a.txt", 0o644, 4),
        ("a/x", 0o644, 1),
        ("run", 0o755, 2),
    ]


def test_place_times_modes_and_empty_folders_do_not_count(folder: Path, tmp_path: Path) -> None:
    before = folder_digest(folder)
    copy = tmp_path / "other" / "name"
    shutil.copytree(folder, copy)
    (copy / "empty").mkdir()
    (copy / "a.txt").chmod(0o600)
    os.utime(copy / "a.txt", (1, 1))
    assert folder_digest(copy) == before


def test_bytes_names_and_executable_bits_count(folder: Path) -> None:
    seen = {folder_digest(folder)}
    (folder / "a.txt").write_bytes(b"test")
    seen.add(folder_digest(folder))
    (folder / "a.txt").rename(folder / "b.txt")
    seen.add(folder_digest(folder))
    (folder / "run").chmod(0o644)
    seen.add(folder_digest(folder))
    assert len(seen) == 4


def test_a_digest_stays_what_it_was(folder: Path) -> None:
    """Locks hold it: another digest for the same files would make every lock stale."""
    rows = [(b"a.txt", b"0644", b"text"), (b"a/x", b"0644", b"x"), (b"run", b"0755", b"#!")]
    files = b",".join(b'["%s","%s","%s"]' % (path, mode, Digest.of(data).hex.encode()) for path, mode, data in rows)
    assert folder_digest(folder) == Digest.of(b'{"files":[%s],"sealift-tree":1}\n' % files)


def test_symlinks_and_special_files_are_refused(folder: Path) -> None:
    os.symlink("a.txt", folder / "link")
    with pytest.raises(FormatError, match="a symlink in a source folder"):
        folder_files(folder)
    (folder / "link").unlink()
    os.mkfifo(folder / "fifo")
    with pytest.raises(FormatError, match="a special file"):
        folder_files(folder)


def test_the_folder_itself_may_not_be_a_symlink(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    for path in (link, folder / "none", folder / "run"):
        with pytest.raises(MissingError):
            folder_digest(path)


def test_too_many_files_and_bytes_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_FILES", 2)
    with pytest.raises(LimitError):
        folder_files(folder)
    monkeypatch.setattr(tree, "MAX_FILES", 20)
    monkeypatch.setattr(tree, "MAX_BYTES", 3)
    with pytest.raises(LimitError):
        folder_files(folder)


def test_a_file_that_changed_since_it_was_listed_is_noticed(folder: Path) -> None:
    listed = folder_files(folder)
    (folder / "a.txt").write_bytes(b"TEXT")
    with pytest.raises(FormatError, match="changed while it was read"):
        listed[0].read()


def test_names_that_are_not_utf8_are_refused(folder: Path) -> None:
    Path(os.fsdecode(bytes(folder) + b"/\xff")).write_bytes(b"")
    with pytest.raises(FormatError, match="not UTF-8"):
        folder_files(folder)


def test_one_file_has_digest_and_size(folder: Path) -> None:
    assert file_digest(folder / "a.txt") == (Digest.of(b"text"), 4)
