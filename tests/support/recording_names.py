"""The second half of the recording door: names that come, go and move. See `tests.support.recording`."""

import errno
import functools
import os
import stat
from collections.abc import Callable
from typing import Any

from bundles.exchange import renameat2 as real_exchange
from tests.support.disk import Create, Exchange, Link, Rename, Unlink
from tests.support.recording_door import Door, file_id


class Names(Door):
    """The whole door."""

    def do_mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._make("mkdir", path, dir_fd, lambda: self._os["mkdir"](path, mode, dir_fd=dir_fd), "dir")

    def do_symlink(self, src: Any, dst: Any, target_is_directory: bool = False, *, dir_fd: int | None = None) -> None:
        self._make(
            "symlink", dst, dir_fd, lambda: self._os["symlink"](src, dst, dir_fd=dir_fd), "link", os.fsdecode(src)
        )

    def _make(
        self, name: str, path: Any, dir_fd: int | None, call: Callable[[], Any], kind: str, target: str = ""
    ) -> None:
        if not (full := self._path(path, dir_fd)):
            call()
            return
        with self._one:
            self._ask(name, full)
            call()
            found = os.lstat(full)
            folder, last = self._parent(full)
            self._tell(Create(folder, last, file_id(found), kind, stat.S_IMODE(found.st_mode), target))

    def do_link(
        self, src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None, **more: Any
    ) -> None:
        call = functools.partial(self._os["link"], src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **more)
        if not (full := self._path(dst, dst_dir_fd)):
            call()
            return
        with self._one:
            self._ask("link", full)
            call()
            folder, last = self._parent(full)
            self._tell(Link(folder, last, file_id(os.lstat(full))))

    def do_unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove("unlink", path, dir_fd)

    def do_remove(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove("unlink", path, dir_fd)

    def do_rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._remove("rmdir", path, dir_fd)

    def _remove(self, name: str, path: Any, dir_fd: int | None) -> None:
        if not (full := self._path(path, dir_fd)):
            self._os[name](path, dir_fd=dir_fd)
            return
        with self._one:
            self._ask(name, full)
            parent = self._parent(full)
            self._os[name](path, dir_fd=dir_fd)
            self._tell(Unlink(*parent))

    def do_rename(self, src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        call = functools.partial(self._os["rename"], src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        before, after = self._path(src, src_dir_fd), self._path(dst, dst_dir_fd)
        if not before and not after:
            call()
            return
        assert before and after, "a rename across the border of what is recorded"
        with self._one:
            self._ask("rename", after)
            moved = os.lstat(before)
            same = os.path.lexists(after) and os.path.samestat(moved, os.lstat(after))
            source, target = self._parent(before), self._parent(after)
            call()
            if not same:  # two links of one file: rename(2) does nothing
                self._tell(Rename(*source, *target, file_id(moved)))

    do_replace = do_rename

    def exchange(self, one: bytes, other: bytes) -> int:
        """For `bundles.exchange`: the one system call that does not go through `os`."""
        before, after = self._path(one), self._path(other)
        with self._one:
            try:
                self._ask("exchange", after)
            except OSError as exc:
                return exc.errno or errno.EIO
            if (code := real_exchange(one, other)) == 0:
                found, target = os.lstat(after), os.lstat(before)
                self._tell(Exchange(*self._parent(before), file_id(found), *self._parent(after), file_id(target)))
            return code
