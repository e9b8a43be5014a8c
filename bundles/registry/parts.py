"""A file that is made of blobs from a registry, several at once, each at its place, and gone on with after a crash.

It has a name of its own (`NAME.part`) until all of it has the sha256 that bundle.json says. What was there before is
not believed: it is hashed, and fetched again where it is not right.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import fsync_directory, os_errors, pwrite_all
from bundles.region import Region
from bundles.registry.artifact import PART

_PAGE: Final = 4096  # bytes: where data ends, the filesystem knows to a page


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A blob and its place: `offset` and `size` in bytes."""

    digest: Digest
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A file to be: `fixed` are bytes that are known already, by their offsets; all else between pieces is zero.

    `sha256` None: nobody knows it beforehand; then whoever fills the file has checked every piece.
    """

    target: Path
    size: int
    sha256: Digest | None
    pieces: Sequence[Piece]
    fixed: Sequence[tuple[int, bytes]] = ()


class PartFile:
    """The file while it is made."""

    def __init__(self, plan: Plan, fd: int) -> None:
        """See `making`."""
        self.plan, self._fd = plan, fd

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Bytes at their place in the file."""
        with os_errors(self.plan.target):
            pwrite_all(self._fd, data, offset)

    def present(self, piece: Piece) -> Iterator[bytes]:
        """The first bytes of a piece that seem to be there from an earlier time; of any content."""
        with os_errors(self.plan.target):
            count = _data_at(self._fd, piece.offset, piece.size)
        yield from self._region().chunks(piece.offset, count)

    def copy(self, source: Piece, other: "PartFile", target: Piece) -> None:
        """A piece that is here, to its place in another file."""
        at = target.offset
        for data in self._region().chunks(source.offset, source.size):
            other.write(data, at)
            at += len(data)

    def read(self, offset: int, size: int, buffer: bytearray) -> Iterator[memoryview]:
        """What is there, in pieces of the buffer's size; each until the next one is asked for."""
        return self._region().views(offset, size, buffer)

    def flush(self) -> None:
        """Hands to the disk what is there so far."""
        with os_errors(self.plan.target):
            os.fdatasync(self._fd)

    def name(self) -> None:
        """Whoever filled it has checked all of it: made durable, named."""
        target = self.plan.target
        with os_errors(target):
            os.fchmod(self._fd, 0o644)
            os.fsync(self._fd)
            os.rename(_part(target), target)
            fsync_directory(target.parent)

    def finish(self, told: Callable[[int], None]) -> None:
        """Everything is there: held against the sha256, made durable, named. Raises FormatError."""
        target = self.plan.target
        with ThreadPoolExecutor(1) as pool, os_errors(target):
            os.fchmod(self._fd, 0o644)
            flushed = pool.submit(os.fsync, self._fd)  # the disk writes while we hash
            found = self._hashed(told)
            if found != self.plan.sha256:
                os.unlink(_part(target))
                hint = "bundle.json and the images in the registry do not belong together"
                raise FormatError(
                    "not the file that bundle.json lists", where=target, got=found, want=self.plan.sha256, hint=hint
                )
            flushed.result()
        self.name()

    def _hashed(self, told: Callable[[int], None]) -> Digest:
        found = hashlib.sha256()
        for data in self._region().chunks(0, self.plan.size):
            found.update(data)
            told(len(data))
        return Digest(found.hexdigest())

    def _region(self) -> Region:
        return Region(fd=self._fd, start=0, size=self.plan.size, where=str(self.plan.target))


@contextlib.contextmanager
def making(plan: Plan) -> Iterator[PartFile]:
    """Opens or goes on with the part file of a plan; its folder exists. It stays when the block ends with an error."""
    path = _part(plan.target)
    with os_errors(path):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os_errors(path):
            os.ftruncate(fd, plan.size)
        part = PartFile(plan, fd)
        for offset, data in plan.fixed:
            part.write(data, offset)
        yield part
    finally:
        os.close(fd)


def is_done(plan: Plan) -> bool:
    """Whether an earlier run finished it: the name is given to checked bytes alone, and the size is what it must be."""
    try:
        return plan.target.lstat().st_size == plan.size
    except OSError:
        return False


def missing_bytes(plan: Plan) -> int:
    """About how much disk it still takes."""
    if is_done(plan):
        return 0
    try:
        return max(0, plan.size - _part(plan.target).lstat().st_blocks * 512)
    except OSError:
        return plan.size


def _part(target: Path) -> Path:
    return target.with_name(target.name + PART)


def _data_at(fd: int, start: int, size: int) -> int:
    """Bytes of data without a hole from `start` on, at most `size`; less a page where a hole follows."""
    if not size:
        return 0
    try:
        if os.lseek(fd, start, os.SEEK_DATA) != start:
            return 0
        hole = os.lseek(fd, start, os.SEEK_HOLE)
    except OSError:
        return 0
    return size if hole >= start + size else max(0, hole - _PAGE - start)
