import os
import stat
from pathlib import Path

import pytest

from bundles.errors import SealiftError
from runtime.exclusive import exclusive
from runtime.folders import (
    ensure_folder,
    fresh_folder,
    link_through,
    remove,
    remove_folder,
    replace_folder,
    sweep,
    write_through,
)
from runtime.layout import NodeLayout


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_folders_get_exact_modes(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        ensure_folder(tmp_path / "a/b/c", 0o700)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / p).stat().st_mode) for p in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o700]


def test_folders_that_exist_keep_their_modes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o750)
    ensure_folder(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o750


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(SealiftError, match="a: not a folder"):
        ensure_folder(tmp_path / "a")


def test_replacing_a_folder_leaves_only_the_new_one(tmp_path: Path) -> None:
    target = tmp_path / "v1"
    (target / "bin").mkdir(parents=True)
    new = fresh_folder(target)
    (new / "charts").mkdir()
    replace_folder(new, target)
    assert names(tmp_path) == ["v1"]
    assert names(target) == ["charts"]


def test_a_folder_comes_back_when_its_replacement_cannot_be_renamed(tmp_path: Path) -> None:
    (tmp_path / "v1" / "bin").mkdir(parents=True)
    with pytest.raises(SealiftError):
        replace_folder(tmp_path / "missing", tmp_path / "v1")
    assert names(tmp_path / "v1") == ["bin"]


def test_removing_follows_no_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove_folder(tmp_path / "tree")
    remove(tmp_path / "link")
    remove(tmp_path / "missing")
    assert names(tmp_path) == ["kept"]


def test_only_our_leftovers_are_swept(tmp_path: Path) -> None:
    for name in (".sealift-v1.aa/bin", "v1/bin", ".other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".sealift-x").write_text("")
    sweep([tmp_path, tmp_path / "missing"])
    assert names(tmp_path) == [".other", "v1"]


def test_a_failed_link_or_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("")
    (tmp_path / "taken").mkdir()
    with pytest.raises(SealiftError, match="taken"):
        link_through(tmp_path / "source", tmp_path / "taken", tmp_path)
    with pytest.raises(SealiftError, match="taken"):
        write_through(tmp_path / "taken", b"x", 0o600, tmp_path)
    assert names(tmp_path) == ["source", "taken"]


def test_two_at_once_wait_or_are_told_who_is_at_work(tmp_path: Path) -> None:
    layout = NodeLayout.at(tmp_path)
    with exclusive(layout, print), pytest.raises(SealiftError, match=f"process {os.getpid()}"):
        exclusive(layout, print, wait=False).__enter__()
    with exclusive(layout, print, wait=False):
        pass
