"""An inbox for plain RKE2: whatever is put there is checked, and only what holds gets into agent/images.

One pass over the folder; a systemd path unit starts it. A bundle is taken when the copy is complete: its folder or
file has not changed for a while. What is refused is moved aside with the reason, so that nobody wonders.
"""

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import FormatError, SealiftError, TrustError
from bundles.files import fsync_directory, os_errors, write_atomic
from bundles.index import INDEX_NAME

REFUSED: Final = "refused"
PACKED: Final = ".sealift"
_REASON: Final = "WHY"


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

    An admitted entry is removed (the node keeps its own copy), a refused one moved to `refused/`. Raises SealiftError
    when the folder itself cannot be used.
    """
    _check_folder(inbox)
    taken = []
    for path in _entries(inbox):
        if not path.is_symlink() and now - _latest(path) < quiet:
            continue
        taken.append(_take(inbox, path, admit))
    return tuple(taken)


def waiting(inbox: Path) -> bool:
    """Whether something is there that was not complete yet."""
    return bool(_entries(inbox))


def _take(inbox: Path, path: Path, admit: Admit) -> Taken:
    try:
        _check_entry(path)
        admit(path)
    except SealiftError as exc:
        _set_aside(inbox, path, str(exc))
        return Taken(name=path.name, why=str(exc), trust=isinstance(exc, TrustError))
    _remove(path)
    return Taken(name=path.name, why="")


def _entries(inbox: Path) -> list[Path]:
    with os_errors(inbox):
        found = sorted(inbox.iterdir())
    return [path for path in found if path.name != REFUSED and not path.name.startswith(".")]


def _check_folder(inbox: Path) -> None:
    """Through a link, the folder that is checked and the one that is used may be two."""
    with os_errors(inbox):
        status = os.lstat(inbox)
    if not stat.S_ISDIR(status.st_mode):
        raise FormatError("the inbox is not a folder", where=inbox, hint="links are not followed")


def _check_entry(path: Path) -> None:
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        raise FormatError("a link is not taken", where=path, hint="put the bundle itself into the inbox")
    if stat.S_ISDIR(status.st_mode):
        if not (path / INDEX_NAME).is_file():
            raise FormatError("a folder without bundle.json", where=path)
    elif not stat.S_ISREG(status.st_mode) or path.suffix != PACKED:
        raise FormatError(f"neither a bundle's folder nor a {PACKED} file", where=path)


def _latest(path: Path) -> float:
    """When the entry last changed, by its status: a copy that keeps old times is still being copied."""
    with os_errors(path):
        times = [os.lstat(path).st_ctime]
        for folder, _, files in os.walk(path):
            times += [os.lstat(os.path.join(folder, name)).st_ctime for name in (".", *files)]
    return max(times)


def _set_aside(inbox: Path, path: Path, why: str) -> None:
    folder = inbox / REFUSED
    with os_errors(folder):
        folder.mkdir(mode=0o755, exist_ok=True)
        target = _free(folder, path.name)
        os.rename(path, target)
        fsync_directory(folder)
        fsync_directory(inbox)
    write_atomic(folder / f"{target.name}.{_REASON}", f"{why}\n".encode())


def _free(folder: Path, name: str) -> Path:
    names: Iterable[str] = (name, *(f"{name}.{number}" for number in range(1, 10_000)))
    return next(folder / one for one in names if not os.path.lexists(folder / one))


def _remove(path: Path) -> None:
    """Without following links: what lies in an inbox may be anything by now."""
    from runtime.folders import remove

    remove(path)
