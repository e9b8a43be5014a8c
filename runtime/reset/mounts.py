"""Mounts below folders of ours, deepest first."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from runtime import process
from runtime.folders import remove

_MOUNTINFO: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_DELETED: Final = "//deleted"


def mounts_below(text: str, folders: Iterable[str], exact: Iterable[str] = ()) -> list[str]:
    """mountinfo -> mount points below `folders` (not themselves) and those of `exact`; the last mounted first."""
    prefixes, names = tuple(f"{folder.rstrip('/')}/" for folder in folders), set(exact)
    # Only newlines end lines: the kernel escapes those in names, but not what else splits lines in Python.
    fields = [line.split(" ") for line in text.split("\n")]
    points = [_OCTAL.sub(lambda m: chr(int(m[1], 8)), each[4]) for each in fields if len(each) > 4]
    points = [point.removesuffix(_DELETED) for point in points]
    return [point for point in reversed(points) if point.startswith(prefixes) or point in names]


def read_mounts(folders: Iterable[str], exact: Iterable[str] = ()) -> list[str]:
    """The same of this process."""
    return mounts_below(_MOUNTINFO.read_text("utf-8", "replace"), folders, exact)


def remove_unmounted(path: Path) -> str:
    """Removes a file or tree, unless something is mounted below it: that may be somebody's disk -> why not."""
    if below := read_mounts([str(path)]):
        return f"{path}: {below[0]} is mounted below it"
    try:
        remove(path)
    except SealiftError as exc:
        return str(exc)
    return ""


async def unmount(env: Mapping[str, str], folders: Iterable[str], exact: Iterable[str] = ()) -> int:
    """Unmounts all, the busy ones lazily; again, because one mount point may carry several -> how many."""
    folders, exact = tuple(folders), tuple(exact)
    count = 0
    for _ in range(10):
        if not (points := read_mounts(folders, exact)):
            break
        for point in points:
            output = await process.call(["umount", point], env=env, check=False)
            if output.code != 0:
                await process.call(["umount", "-l", point], env=env, check=False)
            count += 1
    return count
