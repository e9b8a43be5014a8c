"""One attack: what is sent, who reads it, and the error that has to come of it."""

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bundles.errors import SealiftError

MAX_SECONDS = 60
MAX_MEMORY = 300 << 20  # bytes


@dataclass(frozen=True)
class Place:
    """`sent` by the attacker, `given` to the reader to write in, `canary` is none of its business."""

    root: Path

    @property
    def sent(self) -> Path:
        return self.root / "sent"

    @property
    def given(self) -> Path:
        return self.root / "given"

    @property
    def canary(self) -> Path:
        return self.root / "canary"

    def prepare(self) -> None:
        for folder in (self.sent, self.given, self.canary / "folder"):
            folder.mkdir(parents=True)
        (self.canary / "secret").write_text("untouched")
        (self.canary / "folder/link").symlink_to("../secret")


@dataclass(frozen=True)
class Attack:
    """`rule` is the one of bundle-format 6 (see rules.py) that stands against it; `words` a pattern of the message."""

    name: str
    rule: str
    send: Callable[[Place], object]
    read: Callable[[Place], object]
    words: str
    error: type[SealiftError] = SealiftError


def table(
    rule: str,
    read: Callable[[Place], object],
    error: type[SealiftError],
    rows: Mapping[str, tuple[Callable[[Place], object], str]],
) -> list[Attack]:
    """Rows of one reader, one rule and one class of error: attack -> (what is sent, words)."""
    return [Attack(f"{rule}: {name}", rule, send, read, words, error) for name, (send, words) in rows.items()]


def seen(folder: Path) -> dict[str, str]:
    """Every name at and below `folder` -> type, mode, time, and size or target. Nothing is opened."""
    found = {".": _one(folder)}
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            entry = Path(path, name)
            found[os.path.relpath(entry, folder)] = _one(entry)
    return found


def new_content(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What a refused reader left that nobody else could use: files, links, temporary names. Empty folders may stay."""
    ignored = ("sealift/lock", "rke2/sealift/lock", "rke2/agent/sealift/lock")
    return sorted(
        name
        for name, what in after.items()
        if before.get(name) != what
        and name not in ignored
        and (not what.startswith("folder") or ".sealift-" in name or "/data/v" in name)
    )


def _one(path: Path) -> str:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"link {os.readlink(path)}"
    if stat.S_ISDIR(status.st_mode):
        return f"folder {status.st_mode:o}"
    return f"{stat.S_IFMT(status.st_mode):o} {status.st_mode:o} {status.st_size} {status.st_mtime_ns} {status.st_ino}"


def names(attacks: Iterable[Attack]) -> list[str]:
    return [attack.name for attack in attacks]
