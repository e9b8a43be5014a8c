"""Many small contents and receipts into the store at once: the disk is waited for once, not once for each."""

import contextlib
import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.plan.model import Receipt
from bundles.digest import Digest
from bundles.files import fsync_directory, os_errors, pwrite_all

if TYPE_CHECKING:
    from builder.store import Store

BLOB_MODE: Final = 0o444  # a step that opens an input for writing must fail, not change what others read
_RECEIPT_MODE: Final = 0o644
_FILES: Final = 256  # that are open at once
_SIZE: Final = 8 << 20  # bytes that wait in memory
_WAITING: Final = 8  # threads that wait for the disk: it ends what is asked for at once together


class Batch:
    """Small contents on their way into a store: all are written before the disk is waited for. See Store.batch."""

    def __init__(self, store: "Store") -> None:
        """Nothing is put yet."""
        self._store = store
        self._lock, self._disk = threading.Lock(), threading.Lock()
        self._waiting: dict[Digest, bytes] = {}
        self._receipts: dict[Digest, Receipt] = {}
        self._size = 0

    def put(self, data: bytes) -> Digest:
        """Keeps bytes, now or when more have come; returns their digest."""
        digest = Digest.of(data)
        with self._lock:
            if digest not in self._waiting:
                self._waiting[digest] = data
                self._size += len(data)
            enough = self._size > _SIZE or len(self._waiting) >= _FILES
        if enough:  # others go on putting meanwhile
            with self._disk:
                self._flush_contents()
        return digest

    def finish(self, step: Digest, receipt: Receipt) -> None:
        """Makes a step finished, at the latest with the batch; its outputs are in the store, or were put before."""
        with self._lock:
            self._receipts[step] = receipt
            enough = len(self._receipts) >= _FILES
        if enough:
            self.flush()

    def flush(self) -> None:
        """Returns when all is there."""
        with self._disk:
            with self._lock:
                receipts, self._receipts = self._receipts, {}
            self._flush_contents()
            _keep(self._store, dict(self._store.receipt_files(receipts)), _RECEIPT_MODE)

    def _flush_contents(self) -> None:
        with self._lock:
            waiting, self._waiting, self._size = self._waiting, {}, 0
        missing = {digest: data for digest, data in waiting.items() if not self._store.has(digest, len(data))}
        _keep(self._store, {self._store.path(digest): data for digest, data in missing.items()}, BLOB_MODE)


def _keep(store: "Store", contents: Mapping[Path, bytes], mode: int) -> None:
    """Files of one folder by their paths: each gets its name when its bytes are on the disk."""
    if not contents:
        return
    folder = next(iter(contents)).parent
    with os_errors(folder), _written(store.root / "tmp", contents.values(), mode) as (temps, files):
        _wait_for_all(files)
        for temp, target in zip(temps, contents, strict=True):
            os.rename(temp, target)
        fsync_directory(folder)


@contextlib.contextmanager
def _written(folder: Path, contents: Iterable[bytes], mode: int) -> Iterator[tuple[list[Path], list[int]]]:
    """Temporary files that hold these contents, and their descriptors; gone after the block unless renamed."""
    temps, files = list[Path](), list[int]()
    try:
        for data in contents:
            temp = folder / f"batch.{secrets.token_hex(8)}"
            files.append(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            temps.append(temp)
            pwrite_all(files[-1], data, 0)
            os.fchmod(files[-1], mode)
            os.posix_fadvise(files[-1], 0, 0, os.POSIX_FADV_DONTNEED)  # begins to write
        yield temps, files
    except BaseException:
        for temp in temps:
            with contextlib.suppress(OSError):  # what cannot be removed now is removed by the next build
                temp.unlink()
        raise
    finally:
        for file in files:
            os.close(file)


def _wait_for_all(files: Sequence[int]) -> None:
    """fsync, several at once: one after the other each would wait for a turn of the disk of its own."""

    def wait(first: int) -> None:
        for file in files[first::_WAITING]:
            os.fsync(file)

    with ThreadPoolExecutor(_WAITING) as threads:
        for done in [threads.submit(wait, first) for first in range(min(_WAITING, len(files)))]:
            done.result()
