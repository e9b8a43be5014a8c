"""A source folder as a value: its regular files, sorted, and one digest over them.

What counts is what a build can see the same way everywhere: relative path, executable or not, bytes. Owners, times and
other mode bits do not count, empty folders neither. Symlinks and special files are refused: what they lead to would be
no part of the digest.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError
from bundles.files import os_errors

MAX_FILES = 20_000
MAX_BYTES = 1 << 30
MAX_DEPTH = 64
_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeFile:
    """One file: `path` relative with `/`, `mode` 0o644 or 0o755, `size` in bytes, `digest` of its bytes."""

    path: str
    mode: int
    size: int
    digest: Digest
    source: Path

    def read(self) -> bytes:
        """Its bytes; raises FormatError when they changed since they were listed."""
        with os_errors(self.source):
            data = self.source.read_bytes()
        if Digest.of(data) != self.digest:
            raise FormatError("changed while it was read", where=self.source, hint="run the same command again")
        return data


def folder_files(folder: Path) -> tuple[TreeFile, ...]:
    """All files below a folder, in the byte order of their paths.

    Raises MissingError for no folder, FormatError for symlinks, special files and names that are not UTF-8, LimitError
    above MAX_FILES files, MAX_BYTES bytes or MAX_DEPTH levels.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise MissingError("no such folder", where=folder, got="a symlink" if folder.is_symlink() else "")
    files: list[TreeFile] = []
    total = 0
    for source in _walk(folder):
        found = _file(folder, source)
        files.append(found)
        total += found.size
        if len(files) > MAX_FILES or total > MAX_BYTES:
            raise LimitError("a source folder too large", where=folder, want=f"<= {MAX_FILES} files, {MAX_BYTES} bytes")
    return tuple(sorted(files, key=lambda file: file.path.encode()))


def folder_digest(folder: Path) -> Digest:
    """The digest of a folder: of the canonical JSON of its sorted [path, mode, sha256]. Raises as `folder_files`."""
    return files_digest(folder_files(folder))


def files_digest(files: tuple[TreeFile, ...]) -> Digest:
    """The digest of a folder, from its files."""
    rows = [[file.path, f"{file.mode:04o}", file.digest.hex] for file in files]
    return Digest.of(jsontext.encode_canonical({"sealift-tree": 1, "files": rows}))


def file_digest(path: Path) -> tuple[Digest, int]:
    """A file's digest and size in bytes; symlinks are refused like everywhere here."""
    found = _file(path.parent, path)
    return found.digest, found.size


def _walk(folder: Path, depth: int = 0) -> Iterator[Path]:
    if depth > MAX_DEPTH:
        raise LimitError("folders nested too deeply", where=folder, want=f"<= {MAX_DEPTH} levels")
    with os_errors(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path, depth + 1)
        else:
            yield path


def _file(folder: Path, source: Path) -> TreeFile:
    with os_errors(source):
        state = os.lstat(source)
    if not stat.S_ISREG(state.st_mode):
        what = "a symlink" if stat.S_ISLNK(state.st_mode) else "a special file"
        raise FormatError(f"{what} in a source folder", where=source, hint="put the file itself there")
    relative = source.relative_to(folder).as_posix()
    try:
        relative.encode()
    except UnicodeEncodeError as exc:
        raise FormatError("a file name that is not UTF-8", where=folder, got=repr(relative)) from exc
    digest, size = _hash(source)
    mode = 0o755 if state.st_mode & 0o100 else 0o644
    return TreeFile(path=relative, mode=mode, size=size, digest=digest, source=source)


def _hash(source: Path) -> tuple[Digest, int]:
    writer = hashlib.sha256()
    size = 0
    # O_NOFOLLOW and O_NONBLOCK: the name may have been swapped for a symlink or a FIFO since lstat.
    with os_errors(source):
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            while chunk := file.read(_CHUNK):
                writer.update(chunk)
                size += len(chunk)
                if size > MAX_BYTES:
                    raise LimitError("a source file too large", where=source, want=f"<= {MAX_BYTES} bytes")
    return Digest(writer.hexdigest()), size
