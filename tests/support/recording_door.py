"""The first half of the recording door: opening, writing, sizes, modes, fsync. See `tests.support.recording`."""

import functools
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.support.disk import Create, Event, Mode, Resize, Sync, Write

_CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_TMPFILE = os.O_TMPFILE & ~os.O_DIRECTORY


class Watcher(Protocol):
    """Sees each operation before it happens: its name (`write`, `rename`, ...) and the path it changes."""

    def before(self, name: str, path: str) -> int | None:
        """May raise OSError; a number is the most bytes that this write may take."""

    def after(self, event: Event) -> None:
        """What happened; several for one operation in some cases."""


def _real(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(os, name)
    return found


class Door:
    """One `do_NAME` for each function of `os` that changes files."""

    def __init__(self, root: Path, watcher: Watcher, sync: bool) -> None:
        self._root = os.path.realpath(root)
        self._watcher = watcher
        self._sync = sync
        self._one = threading.RLock()
        names = [name.removeprefix("do_") for name in dir(self) if name.startswith("do_")]
        self._os = {name: _real(name) for name in names}

    # Where something is

    def _path(self, path: Any, dir_fd: int | None = None) -> str:
        """The absolute path; "" when it is not below the root."""
        if isinstance(path, int):
            full = os.readlink(f"/proc/self/fd/{path}").removesuffix(" (deleted)")
        else:
            text = os.fsdecode(path)
            base = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else os.getcwd()
            folder, name = os.path.split(os.path.join(base, text.rstrip("/")))
            full = os.path.join(os.path.realpath(folder), name)
        return full if full == self._root or full.startswith(self._root + "/") else ""

    def _parent(self, full: str) -> tuple[tuple[int, int], str]:
        folder, name = os.path.split(full)
        return file_id(os.stat(folder)), name

    def _ask(self, name: str, full: str) -> int | None:
        return self._watcher.before(name, full)

    def _tell(self, event: Event) -> None:
        self._watcher.after(event)

    # Opening and writing

    def do_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        call = functools.partial(self._os["open"], path, flags, mode, dir_fd=dir_fd)
        if not flags & (_CHANGING | _TMPFILE) or not (full := self._path(path, dir_fd)):
            return int(call())
        with self._one:
            existed = not flags & _TMPFILE and os.path.lexists(full)
            self._ask("open", full)
            fd = int(call())
            found = os.fstat(fd)
            if not existed:
                folder, name = ((0, 0), "") if flags & _TMPFILE else self._parent(full)
                self._tell(Create(folder, name, file_id(found), "file", stat.S_IMODE(found.st_mode)))
            elif flags & os.O_TRUNC:
                self._tell(Resize(file_id(found), 0))
            return fd

    def _writing(
        self, name: str, fd: int, call: Callable[[int | None], int], at: Callable[[int], int], data: Any
    ) -> int:
        full = self._path(fd)
        if not full:
            return call(None)
        with self._one:
            count = call(self._ask(name, full))
            offset = at(count)
            self._tell(Write(file_id(os.fstat(fd)), offset, bytes(data(count, offset))))
            return count

    def do_write(self, fd: int, data: Any) -> int:
        view = memoryview(data).cast("B") if len(data) else memoryview(b"")
        return self._writing(
            "write",
            fd,
            lambda most: int(self._os["write"](fd, view[:most])),
            lambda count: os.lseek(fd, 0, os.SEEK_CUR) - count,
            lambda count, _: view[:count],
        )

    def do_pwrite(self, fd: int, data: Any, offset: int) -> int:
        view = memoryview(data).cast("B")
        return self._writing(
            "write",
            fd,
            lambda most: int(self._os["pwrite"](fd, view[:most], offset)),
            lambda count: offset,
            lambda count, _: view[:count],
        )

    def do_copy_file_range(self, src: int, dst: int, count: int, offset_src: int, offset_dst: int) -> int:
        return self._writing(
            "copy_file_range",
            dst,
            lambda most: int(
                self._os["copy_file_range"](
                    src, dst, count if most is None else min(most, count), offset_src, offset_dst
                )
            ),
            lambda done: offset_dst,
            lambda done, _: os.pread(src, done, offset_src),
        )

    def do_sendfile(self, out_fd: int, in_fd: int, offset: int, count: int) -> int:
        return self._writing(
            "write",
            out_fd,
            lambda most: int(self._os["sendfile"](out_fd, in_fd, offset, count if most is None else min(most, count))),
            lambda done: os.lseek(out_fd, 0, os.SEEK_CUR) - done,
            lambda done, _: os.pread(in_fd, done, offset),
        )

    def _change(self, name: str, path: Any, call: Callable[[], Any], event: Callable[[os.stat_result], Event]) -> None:
        """Something about a file that exists: its size, its mode, that it is to be durable."""
        if not (full := self._path(path)):
            call()
            return
        with self._one:
            self._ask(name, full)
            found = os.stat(path)
            call()
            self._tell(event(found))

    def do_posix_fallocate(self, fd: int, offset: int, size: int) -> None:
        def event(found: os.stat_result) -> Event:
            return Resize(file_id(found), max(found.st_size, offset + size))

        self._change("posix_fallocate", fd, lambda: self._os["posix_fallocate"](fd, offset, size), event)

    def do_ftruncate(self, fd: int, size: int) -> None:
        self._change("truncate", fd, lambda: self._os["ftruncate"](fd, size), lambda f: Resize(file_id(f), size))

    def do_truncate(self, path: Any, size: int) -> None:
        self._change("truncate", path, lambda: self._os["truncate"](path, size), lambda f: Resize(file_id(f), size))

    def do_fsync(self, fd: int) -> None:
        self._change("fsync", fd, lambda: self._sync and self._os["fsync"](fd), lambda f: Sync(file_id(f)))

    def do_fdatasync(self, fd: int) -> None:
        self._change("fsync", fd, lambda: self._sync and self._os["fdatasync"](fd), lambda f: Sync(file_id(f)))

    def do_fchmod(self, fd: int, mode: int) -> None:
        self._change("chmod", fd, lambda: self._os["fchmod"](fd, mode), lambda f: Mode(file_id(f), mode))

    def do_chmod(self, path: Any, mode: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
        call = functools.partial(self._os["chmod"], path, mode, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        self._change("chmod", self._path(path, dir_fd) or path, call, lambda f: Mode(file_id(f), mode))

    def do_utime(self, path: Any, times: Any = None, **more: Any) -> None:
        """Times are not part of what a crash may change here: only asked for."""
        if full := self._path(path, more.get("dir_fd")):
            self._ask("utime", full)
        self._os["utime"](path, times, **more)


def file_id(found: os.stat_result) -> tuple[int, int]:
    """How events name a file."""
    return found.st_dev, found.st_ino
