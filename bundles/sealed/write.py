"""Writes a laid-out archive: every byte once, at its final offset, by several threads; then reads it back.

The read-back gives the archive's sha256 and is the check of the copy: each blob must have its digest in the file.
"""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from bundles import ustar
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import os_errors, pwrite_all
from bundles.layers.model import Part
from bundles.sealed.layout import Entry, SealedLayout

_CHUNK: Final = 1 << 20  # bytes
# What copy_file_range(2) answers where it cannot copy between these two files.
_NO_COPY: Final = {
    None,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EBADF,
    errno.ETXTBSY,
}

T = TypeVar("T")
PartsOf = Callable[[Digest], Sequence[Part]]
OpenBlob = Callable[[Digest], BinaryIO]


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenArchive:
    """The finished file: `size` in bytes, `sha256` of all of it."""

    size: int
    sha256: Digest


def write_archive(
    layout: SealedLayout, target: Path, parts_of: PartsOf, open_blob: OpenBlob, *, workers: int = 1
) -> WrittenArchive:
    """Writes the archive to `target`, which must not exist; the caller gives it its final name.

    `parts_of` tells where a layer's bytes lie (nothing: `open_blob` knows the whole blob). The file has mode 0644
    and is durable when this returns. Raises FormatError when a blob is not what its digest says, SealiftError when
    the disk is full; the file is gone then.
    """
    with os_errors(target):
        fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os_errors(target):
            _allocate(fd, layout.size)
            _run(_write_tasks(fd, layout, parts_of, open_blob), workers)
            os.fchmod(fd, 0o644)
            # Disks write while we hash; both are waited for.
            archive, *_ = _run(_check_tasks(fd, layout, target), workers)
            os.fsync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(target)
        raise
    finally:
        os.close(fd)
    return WrittenArchive(size=layout.size, sha256=archive)


def _allocate(fd: int, size: int) -> None:
    """All the space or an error now, not after an hour; what is never written reads as zeros: the padding."""
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as exc:
        if exc.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        os.ftruncate(fd, size)


def _run(tasks: Iterable[Callable[[], T]], workers: int) -> list[T]:
    """Results of all tasks in their order; the first failure keeps those not yet started from starting."""
    with ThreadPoolExecutor(workers, thread_name_prefix="archive") as pool:
        futures = [pool.submit(task) for task in tasks]
        wait(futures, return_when=FIRST_EXCEPTION)
        pool.shutdown(cancel_futures=True)
        failed = [future for future in futures if not future.cancelled() and future.exception()]
        return [future.result() for future in failed or futures]


def _write_tasks(fd: int, layout: SealedLayout, parts_of: PartsOf, open_blob: OpenBlob) -> Iterator[Callable[[], None]]:
    """One task for each range of a stored blob, one for all that is in memory."""
    memory = [(entry.offset - ustar.BLOCK, layout.header(entry)) for entry in layout.entries]
    memory += [(entry.offset, entry.content) for entry in layout.entries if entry.content is not None]
    yield partial(_write_memory, fd, memory)
    for digest, entry in layout.blobs():
        if entry.content is not None:
            continue
        at = entry.offset
        for part in parts_of(digest) or (Part(digest=digest, offset=0, size=entry.size),):
            yield partial(_copy, fd, at, part, open_blob)
            at += part.size
        if at != entry.offset + entry.size:
            got = f"{at - entry.offset} bytes"
            raise FormatError("the parts of a layer are not the layer", where=digest, got=got, want=entry.size)


def _write_memory(fd: int, pieces: Iterable[tuple[int, bytes]]) -> None:
    for at, data in pieces:
        pwrite_all(fd, data, at)


def _copy(fd: int, at: int, part: Part, open_blob: OpenBlob) -> None:
    """A range of a stored blob -> offset `at` of the archive, inside the kernel where it can."""
    with open_blob(part.digest) as file:
        done = _copy_in_kernel(file, fd, at, part)
        file.seek(part.offset + done)
        while done < part.size:
            data = file.read(min(_CHUNK, part.size - done))
            if not data:
                raise FormatError("stored content cut short", where=part.digest, got=part.offset + done)
            pwrite_all(fd, data, at + done)
            done += len(data)


def _copy_in_kernel(file: BinaryIO, fd: int, at: int, part: Part) -> int:
    """Copies what copy_file_range(2) will copy; returns how many bytes that was."""
    done = 0
    try:
        source = file.fileno()
        while done < part.size:
            count = os.copy_file_range(source, fd, part.size - done, part.offset + done, at + done)
            if count == 0:
                break
            done += count
    except OSError as exc:  # also io.UnsupportedOperation, of files that have no descriptor
        if exc.errno not in _NO_COPY:
            raise
    return done


def _check_tasks(fd: int, layout: SealedLayout, target: Path) -> Iterator[Callable[[], Digest]]:
    """First the digest of the whole file, then of each blob."""
    yield partial(_hash, fd, 0, layout.size)
    for digest, entry in layout.blobs():
        yield partial(_check, fd, digest, entry, target)


def _check(fd: int, digest: Digest, entry: Entry, target: Path) -> Digest:
    found = _hash(fd, entry.offset, entry.size)
    if found != digest:
        hint = "the store or the disk is damaged: remove the blob from the store and run the same command again"
        raise FormatError(
            "a blob was not written as it should be", where=f"{target}: {entry.name}", got=found, hint=hint
        )
    return found


def _hash(fd: int, offset: int, size: int) -> Digest:
    digest, end = hashlib.sha256(), offset + size
    while offset < end:
        data = os.pread(fd, min(_CHUNK, end - offset), offset)
        if not data:
            raise FormatError("the archive became shorter while it was read", got=offset, want=end)
        digest.update(data)
        offset += len(data)
    return Digest(digest.hexdigest())
