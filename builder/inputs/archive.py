"""An input archive to read from. Its index was checked when it was opened, what files hold is when they are read.

Nobody is trusted here: a lock decides what an input must be, the index only says where it lies. Files are opened so
that no link, FIFO or device in their place can lead elsewhere or stop us.
"""

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from builder.inputs.model import INDEX, PROXY, Index, Input, InputFile
from builder.inputs.text import MAX_SIZE, parse_index
from builder.process import Cancel
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.files import os_errors

_CHUNK: Final = 1 << 20
MEND: Final = "sealift fetch RECIPE --to DIR brings it, where there is a network"


@dataclass(frozen=True, kw_only=True, slots=True)
class InputArchive:
    """A folder and its index."""

    folder: Path
    index: Index = field(repr=False)

    @property
    def proxy(self) -> str:
        """Its Go modules, as an address for GOPROXY."""
        return (self.folder.absolute() / PROXY).as_uri()

    def find(self, source: str) -> Input | None:
        """An input in the lock's words, when it is there."""
        return self.index.inputs.get(source)

    def open(self, file: InputFile) -> BinaryIO:
        """A file, known to be a regular one of its size; raises MissingError, FormatError."""
        path = self.folder / file.path
        found = open_regular(path)
        size = os.fstat(found.fileno()).st_size
        if size != file.size:
            found.close()
            raise FormatError("damaged: another size", where=path, got=size, want=file.size, hint=MEND)
        return found

    def check(self, file: InputFile) -> None:
        """Raises MissingError or FormatError unless the file holds what the index says."""
        with self.open(file) as content:
            digest = file_digest(content, file.size, self.folder / file.path)
        if digest != file.digest:
            path = self.folder / file.path
            raise FormatError("damaged: other content", where=path, got=digest, want=file.digest, hint=MEND)

    def faults(self, inputs: Iterable[Input], cancel: Cancel | None = None) -> list[SealiftError]:
        """Looks at every file of some inputs -> what is missing or damaged."""
        found: list[SealiftError] = []
        for file in sorted({file for each in inputs for file in each.files}):
            if cancel is not None:
                cancel.check()
            try:
                self.check(file)
            except SealiftError as exc:
                found.append(exc)
        return found


def open_archive(folder: Path) -> InputArchive:
    """A folder -> the archive; raises MissingError when it is none, FormatError when its index is malformed."""
    path = folder / INDEX
    if not folder.is_dir():
        raise MissingError("no such folder", where=folder, hint="--inputs takes what `sealift fetch --to` wrote")
    try:
        with open_regular(path) as file, os_errors(path):
            data = file.read(MAX_SIZE + 1)
    except MissingError as exc:
        hint = "--inputs takes what `sealift fetch --to` wrote; when that was interrupted, run it again"
        raise MissingError(f"not an input archive: no {INDEX}", where=folder, hint=hint) from exc
    return InputArchive(folder=folder, index=parse_index(data, path))


def open_regular(path: Path) -> BinaryIO:
    """A regular file, opened; raises MissingError for none, FormatError for a link or anything else in its place."""
    with os_errors(path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise MissingError("missing", where=path, hint=MEND) from exc
        except OSError as exc:
            if path.is_symlink():
                raise FormatError("a link in place of a file", where=path, hint=MEND) from exc
            raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FormatError("not a regular file", where=path, hint=MEND)
    return open(fd, "rb")


def file_digest(file: BinaryIO, size: int, where: Path) -> Digest:
    """The digest of an open file that has `size` bytes; one that grows meanwhile is not read for ever."""
    total, left = hashlib.sha256(), size
    with os_errors(where):
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            total.update(chunk)
            left -= len(chunk)
    return Digest(total.hexdigest())
