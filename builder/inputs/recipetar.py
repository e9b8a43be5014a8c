"""A recipe with its lock as one tar: executable bits survive any medium, and the same recipe gives the same bytes.

`tar xf` unpacks it into `recipe/`; recipes that it builds on lie beside that, where its `base` looks for them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from builder.lock.text import parse_lock
from builder.recipe.read import LOCK
from builder.tree import TreeFile, folder_files
from bundles import ustar
from bundles.errors import FormatError

TOP: Final = "recipe"


def recipe_tar(folders: Sequence[Path]) -> bytes:
    """The recipe's folder, then those that it builds on -> a tar of all their files; times are the lock's.

    Hidden files stay out. Raises FormatError for symlinks and for names that ustar cannot hold.
    """
    mtime = parse_lock((folders[0] / LOCK).read_bytes(), str(folders[0] / LOCK)).epoch
    parts: list[bytes] = []
    for name, file in sorted(_all(folders), key=lambda row: row[0].encode()):
        parts.append(ustar.encode(ustar.Header(name=name, mode=file.mode, size=file.size, mtime=mtime)))
        parts += [file.read(), bytes(ustar.padding(file.size))]
    return b"".join([*parts, bytes(2 * ustar.BLOCK)])


def _all(folders: Sequence[Path]) -> Iterator[tuple[str, TreeFile]]:
    tops = [TOP, *(folder.resolve().name for folder in folders[1:])]
    if len(set(tops)) != len(tops):
        raise FormatError("recipes of one name cannot lie side by side", where=folders[0], got=", ".join(tops))
    for top, folder in zip(tops, folders, strict=True):
        for file in folder_files(folder):
            if not any(step.startswith(".") for step in file.path.split("/")):
                yield f"{top}/{file.path}", file
