"""Go's directory hash: the `h1:` of go.sum and of the checksum database.

h1 (golang.org/x/mod/sumdb/dirhash, Hash1): one line `<sha256 hex>  <name>\n` for each file, sorted by name; the sha256
of those lines, in base64. Names are `MODULE@VERSION/path`, the same in a module's zip and in its unpacked folder.
"""

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from bundles.errors import FormatError
from bundles.files import os_errors


def folder_hash(folder: Path, prefix: str) -> str:
    """Folder of an unpacked module and `MODULE@VERSION` -> `h1:...`; raises FormatError for anything but files."""
    lines = []
    with os_errors(folder):
        for path, name in _files(folder):
            with open(path, "rb", buffering=0) as file:
                lines.append((name, hashlib.file_digest(file, "sha256").hexdigest()))
    total = hashlib.sha256()
    for name, hex_ in sorted((f"{prefix}/{name}", hex_) for name, hex_ in lines):
        total.update(f"{hex_}  {name}\n".encode())
    return "h1:" + base64.b64encode(total.digest()).decode()


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """(path, name below the folder) of every file."""
    pending = [(str(folder), "")]
    while pending:
        path, below = pending.pop()
        with os.scandir(path) as entries:
            found = list(entries)
        for entry in found:
            if "\n" in entry.name:
                # One name could stand for two lines of the hash (golang.org/x/mod/sumdb/dirhash, Hash1).
                raise FormatError("a line end in the name of a module's file", where=entry.path)
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, f"{below}{entry.name}/"))
            elif entry.is_file(follow_symlinks=False):
                yield entry.path, f"{below}{entry.name}"
            else:
                # A module zip holds regular files alone (golang.org/x/mod/zip): somebody put it there.
                raise FormatError("not a regular file in a module", where=entry.path)
