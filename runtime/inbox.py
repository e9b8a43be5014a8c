"""An inbox for plain RKE2: whatever is put there is checked, and only what holds gets into agent/images.

One pass over the folder; a systemd path unit starts it. A bundle is taken when the copy is complete: its folder or
file has not changed for a while. What is refused is moved aside with the reason, so that nobody wonders.

The inbox may belong to somebody who is not root. So it is opened once, without following links, and names are made,
moved and removed below that descriptor alone: a `refused` that is a link to /etc must not make root write there.
"""

import contextlib
import math
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import FormatError, SealiftError, TrustError
from bundles.files import os_errors, write_atomic
from bundles.index import INDEX_NAME

REFUSED: Final = "refused"
PACKED: Final = ".sealift"
_REASON: Final = ".WHY"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What became of one entry: `why` is empty when it was admitted."""

    name: str
    why: str
    trust: bool = False


Admit = Callable[[Path], None]


def process(inbox: Path, admit: Admit, *, now: float, quiet: float) -> tuple[Taken, ...]:
    """Offers every complete entry of the folder to `admit`, in the order of the names.

    Args:
        inbox: the folder.
        admit: stages a bundle; raises SealiftError for what is refused.
        now: seconds since the epoch.
        quiet: seconds without a change until an entry counts as complete.

    An admitted entry is removed (the node keeps its own copy), a refused one moved to `refused/`. Raises FormatError
    when the inbox is no folder.
    """
    with _opened(inbox) as fd:
        ready = [name for name in _entries(fd) if now - _latest(fd, name) >= quiet]
        return tuple(_take(fd, inbox / name, admit) for name in ready)


def waiting(inbox: Path) -> bool:
    """Whether something is there that was not complete yet."""
    with _opened(inbox) as fd:
        return bool(_entries(fd))


@contextlib.contextmanager
def _opened(inbox: Path) -> Iterator[int]:
    """Through a link, the folder that is checked and the one that is used may be two."""
    try:
        fd = os.open(inbox, _FOLDER)
    except OSError as exc:
        hint = "links are not followed"
        raise FormatError(f"the inbox is not a folder: {exc.strerror}", where=inbox, hint=hint) from exc
    try:
        yield fd
    finally:
        os.close(fd)


def _entries(fd: int) -> list[str]:
    return sorted(name for name in os.listdir(fd) if name != REFUSED and not name.startswith("."))


def _take(fd: int, path: Path, admit: Admit) -> Taken:
    try:
        _check_entry(fd, path)
        admit(path)
    except SealiftError as exc:
        why, trust = str(exc), isinstance(exc, TrustError)
        try:
            _set_aside(fd, path, why)
        except SealiftError as other:  # the others get their turn all the same
            why += f"\nIt is still there: {other}"
        return Taken(name=path.name, why=why, trust=trust)
    with os_errors(path):
        _remove(fd, path.name)
    return Taken(name=path.name, why="")


def _check_entry(fd: int, path: Path) -> None:
    with os_errors(path):
        status = os.stat(path.name, dir_fd=fd, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        raise FormatError("a link is not taken", where=path, hint="put the bundle itself into the inbox")
    if stat.S_ISDIR(status.st_mode):
        if not (path / INDEX_NAME).is_file():
            raise FormatError("a folder without bundle.json", where=path)
    elif not stat.S_ISREG(status.st_mode) or path.suffix != PACKED:
        raise FormatError(f"neither a bundle's folder nor a {PACKED} file", where=path)


def _latest(fd: int, name: str) -> float:
    """When the entry last changed, by its status: a copy that keeps old times is still being copied.

    Links count as complete: nothing is copied into them. What vanishes while one looks is being renamed.
    """
    try:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            return -math.inf
        times = [status.st_ctime]
        if stat.S_ISDIR(status.st_mode):
            for _, folders, files, folder in os.fwalk(name, dir_fd=fd):
                times += [
                    os.stat(each, dir_fd=folder, follow_symlinks=False).st_ctime for each in (".", *folders, *files)
                ]
    except OSError:
        return math.inf
    return max(times)


def _set_aside(fd: int, path: Path, why: str) -> None:
    with os_errors(path.parent / REFUSED), contextlib.ExitStack() as stack:
        with contextlib.suppress(FileExistsError):
            os.mkdir(REFUSED, 0o755, dir_fd=fd)
        folder = os.open(REFUSED, _FOLDER, dir_fd=fd)
        stack.callback(os.close, folder)
        target = _free(folder, path.name)
        os.rename(path.name, target, src_dir_fd=fd, dst_dir_fd=folder)
        os.fsync(folder)
        os.fsync(fd)
        write_atomic(Path(f"/proc/self/fd/{folder}", target + _REASON), f"{why}\n".encode())


def _free(folder: int, name: str) -> str:
    names: Iterable[str] = (name, *(f"{name}.{number}" for number in range(1, 10_000)))
    taken = set(os.listdir(folder))
    return next(one for one in names if not taken & {one, one + _REASON})


def _remove(fd: int, name: str) -> None:
    """Without following links: what lies in an inbox may be anything by now."""
    try:
        os.unlink(name, dir_fd=fd)
    except IsADirectoryError:
        shutil.rmtree(name, dir_fd=fd)
