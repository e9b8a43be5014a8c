"""What a server's registry has, kept in memory while it stays the same."""

import asyncio
from dataclasses import dataclass, field

from bundles.files import os_errors
from runtime import admitted
from runtime.layout import NodeLayout
from runtime.supervisor.catalogue import Catalogue, read_catalogue


@dataclass(slots=True)
class Shelf:
    """The catalogue of the admitted bundle, read anew when another one is admitted, or when its folder has changed."""

    layout: NodeLayout
    _stamp: object = None
    _catalogue: Catalogue | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> Catalogue | None:
        """What is served now. Raises FormatError when the kept bundle is not the admitted one."""
        async with self._lock:
            stamp = await asyncio.to_thread(_stamp, self.layout)
            if stamp != self._stamp:
                self._catalogue = await asyncio.to_thread(read_catalogue, self.layout)
                self._stamp = stamp
            return self._catalogue


def _stamp(layout: NodeLayout) -> object:
    """Changes with the admitted bundle, and when signatures come to its folder later."""
    record = admitted.read(layout.admitted)
    if record is None:
        return ()
    folder = layout.bundles / record.bundle
    with os_errors(folder):
        status = folder.stat()
    return record.index, status.st_ino, status.st_mtime_ns
