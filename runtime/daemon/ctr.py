"""containerd through the bundle's own `ctr`: images listed, imported, pinned and named."""

import contextlib
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.foreign import outer
from bundles.region import open_region
from runtime import process
from runtime.daemon.archives import PIN_LABELS, StoredImage
from runtime.daemon.exact import exact_pieces

NAMESPACE: Final = "k8s.io"
_ROW: Final = re.compile(r"(\S+)\s+(\S+)\s+(sha256:[0-9a-f]{64})\s+(.*?)(\S+)\s*")
_IMPORT_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Ctr:
    """`ctr` at one socket; `env` has the bundle's programs on its PATH."""

    socket: Path
    env: Mapping[str, str]

    async def images(self) -> tuple[StoredImage, ...]:
        """All image records."""
        return parse_images(await self._images("ls"))

    async def import_archive(self, archive: Path, sha256: Digest | None = None) -> None:
        """Imports all platforms of an archive, by its suffix decompressed on the way (ctr itself does not).

        `sha256`: of an admitted archive, which must be the one that is sent; FormatError, and ctr is killed before it
        has made a single image record, when it is another.
        """

        def feed(fd: int) -> None:
            with contextlib.closing(_pieces(archive) if sha256 is None else exact_pieces(archive, sha256)) as pieces:
                for piece in pieces:
                    process.write_all(fd, piece)

        words = ("import", "--local", "--all-platforms", "--no-unpack", "-")
        await self._images(*words, feed=feed, timeout=_IMPORT_SECONDS, what=str(archive))

    async def pin(self, name: str) -> None:
        """Puts the pin labels on an image."""
        await self._images("label", name, *(f"{key}={value}" for key, value in PIN_LABELS.items()))

    async def unpin(self, name: str) -> None:
        """Takes them off."""
        await self._images("label", name, *(f"{key}=" for key in PIN_LABELS))

    async def tag(self, name: str, others: Sequence[str]) -> None:
        """Gives an image further names, with its labels; whoever had a name loses it."""
        await self._images("tag", "--local", "--force", name, *others)

    async def _images(
        self, *words: str, feed: process.Feed | None = None, timeout: float = 60.0, what: str = ""
    ) -> str:
        argv = ["ctr", "-a", str(self.socket), "-n", NAMESPACE, "images", *words]
        output = await process.call(argv, env=self.env, feed=feed, timeout=timeout, what=what)
        return output.text


def parse_images(table: str) -> tuple[StoredImage, ...]:
    """The table of `ctr images ls` -> image records. Raises FormatError for a row that is none."""
    images = []
    for line in table.splitlines()[1:]:
        if not line.strip():
            continue
        if not (match := _ROW.fullmatch(line)):
            raise FormatError("not a row of `ctr images ls`", got=line[:300])
        labels = dict(pair.split("=", 1) for pair in match[5].split(",") if "=" in pair)
        images.append(StoredImage(name=match[1], digest=Digest.parse(match[3]), labels=labels))
    return tuple(images)


def _pieces(archive: Path) -> Generator[bytes, None, None]:
    """The tar inside, read ahead of nothing: errors of reading name the archive, errors of the reader are its own."""
    kind = outer.compression(archive.name) or outer.PLAIN
    with open_region(archive) as region:
        if kind == outer.PLAIN:
            yield from region.chunks(0, region.size)
        else:
            with outer.uncompressed(region, kind) as pieces:
                yield from pieces
