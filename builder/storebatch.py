"""Many small contents into the store at once: the disk is waited for once, not once for each."""

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Final

from bundles.digest import Digest
from bundles.files import fsync_directory, os_errors

if TYPE_CHECKING:
    from builder.store import Store

BLOB_MODE: Final = 0o444  # a step that opens an input for writing must fail, not change what others read
_FILES: Final = 256  # that are open at once
_SIZE: Final = 8 << 20  # bytes that wait in memory


class Batch:
    """Small contents on their way into a store: all are written before the disk is waited for. See Store.batch."""

    def __init__(self, store: "Store") -> None:
        """Nothing is put yet."""
        self._store = store
        self._lock = threading.Lock()
        self._waiting: dict[Digest, bytes] = {}
        self._size = 0

    def put(self, data: bytes) -> Digest:
        """Keeps bytes, now or when more have come; returns their digest."""
        digest = Digest.of(data)
        with self._lock:
            if digest not in self._waiting:
                self._waiting[digest] = data
                self._size += len(data)
            if self._size > _SIZE or len(self._waiting) >= _FILES:
                self._flush()
        return digest

    def flush(self) -> None:
        """Returns when all is there."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        missing = {digest: data for digest, data in self._waiting.items() if not self._store.has(digest, len(data))}
        self._waiting, self._size = {}, 0
        folder = self._store.root / "blobs/sha256"
        with contextlib.ExitStack() as opened, os_errors(folder):
            files = []
            for digest, data in missing.items():
                file, temp = opened.enter_context(self._store.temp_file())
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), BLOB_MODE)
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # begins to write; one journal for all
                files.append((file, temp, digest))
            for file, temp, digest in files:
                os.fsync(file.fileno())
                os.rename(temp, self._store.path(digest))
            if files:
                fsync_directory(folder)
