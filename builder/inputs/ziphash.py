"""Go's hashes of what a module proxy keeps: of a module's zip, and of its go.mod (golang.org/x/mod/sumdb/dirhash)."""

import base64
import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Final

from bundles.errors import FormatError, LimitError
from bundles.files import os_errors

MAX_UNPACKED: Final = 2 << 30  # bytes; golang.org/x/mod/zip allows a module 500 MiB, a toolchain has half of that
MAX_ENTRIES: Final = 200_000
_CHUNK: Final = 1 << 20
_DAMAGE: Final = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OverflowError)


def zip_hash(path: Path) -> str:
    """A module's zip -> `h1:...`, the hash that go.sum has of it; raises FormatError for what is no such zip."""
    with os_errors(path), path.open("rb") as file:
        return _zip_hash(file, path)


def mod_hash(data: bytes) -> str:
    """A go.mod -> the hash that go.sum has of it (its lines for `VERSION/go.mod`)."""
    return _h1({"go.mod": hashlib.sha256(data).hexdigest()})


def _zip_hash(file: BinaryIO, where: object) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise LimitError("too many files in a module", where=where, want=f"<= {MAX_ENTRIES}")
            rows: dict[str, str] = {}
            left = MAX_UNPACKED
            for entry in entries:
                if "\n" in entry.filename or entry.filename in rows:
                    raise FormatError("a name twice, or a line end in it", where=where, got=repr(entry.filename[:200]))
                rows[entry.filename], left = _entry_hash(archive, entry, left, where)
    except _DAMAGE as exc:
        raise FormatError(f"not a module's zip: {exc}", where=where) from exc
    except zlib.error as exc:
        raise FormatError(f"not a module's zip: {exc}", where=where) from exc
    return _h1(rows)


def _entry_hash(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int, where: object) -> tuple[str, int]:
    """The sha256 of one file, and how many bytes the others may have: sizes that a zip claims are not believed."""
    total = hashlib.sha256()
    with archive.open(entry) as content:
        while chunk := content.read(_CHUNK):
            total.update(chunk)
            left -= len(chunk)
            if left < 0:
                raise LimitError("a module too large", where=where, want=f"<= {MAX_UNPACKED} bytes unpacked")
    return total.hexdigest(), left


def _h1(rows: dict[str, str]) -> str:
    total = hashlib.sha256()
    for name, hex_ in sorted(rows.items(), key=lambda row: row[0].encode()):
        total.update(f"{hex_}  {name}\n".encode())
    return "h1:" + base64.b64encode(total.digest()).decode()
