"""Folders of a node: made with exact modes, swept of what a crash left, removed only under another name."""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from bundles.exchange import exchange
from bundles.files import TEMP_PREFIX, fsync_directory, os_errors, remove_abandoned, temp_name, write_atomic

FOLDER_MODE: Final = 0o755
SECRET_MODE: Final = 0o700


def ensure_folder(path: Path, mode: int = FOLDER_MODE) -> None:
    """Makes `path` with exactly `mode` (octal; the umask does not count) and missing parents with 0755.

    What exists keeps its mode. Raises SealiftError when something else has the name, or nothing can be written.
    """
    with os_errors(path):
        if path.is_dir():
            return
    if path.parent != path:
        ensure_folder(path.parent)
    with os_errors(path):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, mode)
            os.chmod(path, mode)
            fsync_directory(path.parent)
        if not path.is_dir():
            raise SealiftError("not a folder", where=path, hint="move it away")


def fresh_folder(beside: Path, mode: int = SECRET_MODE) -> Path:
    """A new, empty, hidden folder beside `beside`, later renamed to it; `sweep` finds it after a crash."""
    path = temp_name(beside)
    with os_errors(path):
        os.mkdir(path, mode)
        os.chmod(path, mode)
    return path


def replace_folder(new: Path, target: Path) -> None:
    """Gives the folder `new` the name `target`; a folder that had the name is removed afterwards.

    In one step; where the filesystem has none for it, there is a moment without `target`, never one with half of it.
    """
    with os_errors(target):
        old = new if exchange(new, target) else _rename_folder(new, target)
        fsync_directory(target.parent)
    if old is not None:
        remove(old)


def _rename_folder(new: Path, target: Path) -> Path | None:
    """rename(2) replaces only empty folders: what had the name goes aside first, and comes back after an error."""
    old = _set_aside(target)
    try:
        os.rename(new, target)
    except OSError:
        if old is not None:
            os.rename(old, target)
        raise
    return old


def remove_folder(path: Path) -> None:
    """Removes a tree that readers know by name: renamed first, so that half of it never stands under that name."""
    with os_errors(path):
        aside = _set_aside(path)
        fsync_directory(path.parent)
    if aside is not None:
        remove(aside)


def remove(path: Path) -> None:
    """Removes a file, link or tree; symlinks are not followed. Missing is fine."""
    with os_errors(path), contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def sweep(folders: Iterable[Path]) -> None:
    """Removes what an interrupted run left directly in these folders; call it only with the lock held.

    Files that somebody is writing stay: the daemon writes its own without that lock.
    """
    for folder in folders:
        remove_abandoned(folder)
        with os_errors(folder), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for name in os.listdir(folder):
                if name.startswith(TEMP_PREFIX) and not stat.S_ISREG(os.lstat(folder / name).st_mode):
                    remove(folder / name)


def link_through(source: Path, link: Path, waiting_room: Path) -> None:
    """Makes or replaces `link` as a hard link of `source`; the intermediate name stands in `waiting_room`.

    RKE2 watches agent/images: a hidden temporary name there could be imported, or counted as a preloaded image.
    """
    temp = waiting_room / f"{TEMP_PREFIX}{link.name}.{secrets.token_hex(6)}"
    with os_errors(link):
        os.link(source, temp)
        try:
            os.rename(temp, link)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temp)  # after a failed rename, or of two links of one file (rename(2) does nothing then)
        fsync_directory(link.parent)


def write_through(target: Path, data: bytes, mode: int, waiting_room: Path) -> None:
    """Writes `target` by rename from `waiting_room` (on the same filesystem), for folders that others watch."""
    write_atomic(target, data, mode=mode, room=waiting_room)


def _set_aside(path: Path) -> Path | None:
    """Renames `path` to a hidden name beside it; None when there is nothing."""
    aside = temp_name(path)
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return None
    return aside
