"""Receipts of verified sources: what was hashed once is not hashed again while its files look untouched.

A receipt notes size, mtime and inode of the files and folders that stand for a source. Any difference, and the source
is verified anew. It saves time and defends against accidents; who can write to the store can also write receipts.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from builder.store import Store
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import make_folders, write_atomic

Stamp = list[int]  # size in bytes, mtime in nanoseconds, inode


class Verified:
    """The receipts of one store."""

    def __init__(self, store: Store) -> None:
        """Takes the store they lie in."""
        self._root = store.root
        self._folder = store.sources / "verified"
        make_folders(self._folder)

    def holds(self, key: str, want: str) -> bool:
        """Whether source `key` was verified to be `want` (its hash) and looks untouched since."""
        try:
            note = jsontext.decode_plain(self._path(key).read_bytes(), where=key)
            if note["key"] != key or note["want"] != want:
                return False
            return all(_stamp(os.path.join(self._root, name)) == stamp for name, stamp in note["paths"].items())
        except (OSError, FormatError, KeyError, TypeError, AttributeError):
            return False  # an unreadable receipt costs one more look

    def note(self, key: str, want: str, paths: Iterable[Path]) -> None:
        """Remembers that `key` is `want`; `paths` (below the store) stand for it and must exist."""
        stamps = {str(path.relative_to(self._root)): _stamp(path) for path in paths}
        write_atomic(self._path(key), jsontext.encode_canonical({"key": key, "want": want, "paths": stamps}))

    def _path(self, key: str) -> Path:
        return self._folder / f"{Digest.of(key.encode()).hex}.json"


def _stamp(path: str | Path) -> Stamp:
    found = os.lstat(path)
    return [found.st_size, found.st_mtime_ns, found.st_ino]
