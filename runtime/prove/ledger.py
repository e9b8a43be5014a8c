"""What a proof made on the host outside its namespaces, written down before it is made: control group, folders.

One proof at a time: the file is locked while it runs. A kill -9 leaves the file; the next proof takes away what it
names. Empty mount points below /var/lib and /etc are all that could otherwise stay unnoticed.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from bundles.files import os_errors
from runtime.folders import remove
from runtime.prove.cgroups import Group, Hierarchy

LEDGER: Final = Path("/run/sealift-prove.json")


@dataclass(frozen=True, slots=True)
class Ledger:
    """The open, locked file at `path`; entries only grow."""

    path: Path
    fd: int
    work: list[Path] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    made: list[Path] = field(default_factory=list)

    def will_make(self, *, work: Path | None = None, group: str = "", folder: Path | None = None) -> None:
        """Writes down what is about to be made."""
        self.work.extend([work] if work else [])
        self.groups.extend([group] if group else [])
        self.made.extend([folder] if folder else [])
        fields = {"work": list(map(str, self.work)), "groups": self.groups, "made": list(map(str, self.made))}
        with os_errors(self.path):
            data = json.dumps(fields).encode()
            os.pwrite(self.fd, data, 0)
            os.ftruncate(self.fd, len(data))

    def make_mount_points(self, targets: Iterable[Path]) -> None:
        """Makes the folders that are missing on the host, and remembers which."""
        for target in targets:
            for folder in (*reversed(target.parents), target):
                if not folder.is_dir():
                    self.will_make(folder=folder)
                    with os_errors(folder):
                        folder.mkdir(mode=0o755)

    def take_back(self, hierarchies: tuple[Hierarchy, ...]) -> None:
        """Removes all that is written down; folders of the host only while they are empty. Missing is fine."""
        for name in self.groups:
            Group(name, hierarchies).remove()
        for folder in reversed(self.made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        for work in self.work:
            remove(work)

    def left(self, hierarchies: tuple[Hierarchy, ...]) -> tuple[str, ...]:
        """What still exists of it."""
        groups = [path for name in self.groups for path in Group(name, hierarchies).left()]
        return tuple(str(path) for path in (*groups, *(path for path in (*self.made, *self.work) if path.exists())))


@contextlib.contextmanager
def open_ledger(
    hierarchies: tuple[Hierarchy, ...], say: Callable[[str], None], path: Path = LEDGER
) -> Iterator[Ledger]:
    """Locks the ledger and cleans up after a proof that was killed; the file goes at the end.

    Waits for a proof that runs, and says so.
    """
    fd = _lock(path, say)
    try:
        _clean(path, fd, hierarchies)
        yield Ledger(path, fd)
        with contextlib.suppress(FileNotFoundError), os_errors(path):
            os.unlink(path)
    finally:
        os.close(fd)


def _lock(path: Path, say: Callable[[str], None]) -> int:
    while True:
        with os_errors(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _acquire(fd, path, say)
            # Its owner may have removed the file between our open and our lock: then the lock is on nothing.
            if os.stat(path).st_ino == os.fstat(fd).st_ino:
                return fd
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _acquire(fd: int, path: Path, say: Callable[[str], None]) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"waiting: another proof runs on this machine, {path} is its")
        fcntl.flock(fd, fcntl.LOCK_EX)


def _clean(path: Path, fd: int, hierarchies: tuple[Hierarchy, ...]) -> None:
    with os_errors(path):
        data = os.pread(fd, 1 << 20, 0)
        if data:
            try:
                fields = json.loads(data)
                old = Ledger(
                    path, fd, [Path(p) for p in fields["work"]], fields["groups"], list(map(Path, fields["made"]))
                )
            except (ValueError, KeyError, TypeError):
                raise SealiftError("not a ledger", where=path, hint="look what it was and remove it") from None
            old.take_back(hierarchies)
            os.ftruncate(fd, 0)
