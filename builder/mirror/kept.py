"""Archives that the store keeps, because they are the one copy of layers that were fetched (docs/adr/0006).

    archives/<hex>.tar     a finished archive, by the identity of its layout; outputs are hard links of it
    archives/<hex>.json    the note: its sha256, where each blob lies, what was found in the layers; written after it
    archives/<hex>.tar.part    one that is being filled; the next build goes on with it

A note is believed as far as finding goes. What is taken out of an archive is hashed while it is copied.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from builder.delivered import Stamp, report_from, report_to, stamp
from builder.store import Collected, Store
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import make_folders, os_errors, unlink_large, write_atomic
from bundles.sealed.layout import SealedLayout
from bundles.sealed.report import LayerReport
from bundles.seen import READER

_TAR: Final = ".tar"
_NOTE: Final = ".json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a blob lies: `offset` and `size` in bytes in a file."""

    path: Path
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptArchive:
    """A finished archive; `layers`: what a full reading found in layers, by their digests."""

    path: Path
    size: int
    sha256: Digest
    blobs: Mapping[Digest, Place]
    stamp: Stamp
    layers: Mapping[Digest, LayerReport] = field(default_factory=dict)


class KeptArchives:
    """Those of one store."""

    def __init__(self, store: Store) -> None:
        """Makes the folder when it is missing."""
        self._folder = store.root / "archives"
        make_folders(self._folder)

    def path(self, layout: Digest) -> Path:
        """Where the archive of that layout is or will be."""
        return self._folder / f"{layout.hex}{_TAR}"

    def find(self, layout: Digest) -> KeptArchive | None:
        """The finished archive of that layout, untouched since it was noted; None for none."""
        found = self._read(self.path(layout))
        return found if found is not None and stamp(found.path) == found.stamp else None

    def add(self, layout: Digest, plan: SealedLayout, sha256: Digest) -> KeptArchive:
        """Notes the archive that was just finished under its name."""
        path = self.path(layout)
        blobs = {digest: Place(path=path, offset=entry.offset, size=entry.size) for digest, entry in plan.blobs()}
        with os_errors(path):
            kept = KeptArchive(path=path, size=plan.size, sha256=sha256, blobs=blobs, stamp=stamp(path))
        self._write(kept)
        return kept

    def learn(self, archive: KeptArchive, reports: Mapping[Digest, LayerReport]) -> None:
        """Notes what a full reading found in the archive's layers."""
        known = {digest: one for digest, one in reports.items() if digest in archive.blobs}
        if known.items() - archive.layers.items():
            self._write(
                KeptArchive(
                    path=archive.path, size=archive.size, sha256=archive.sha256, blobs=archive.blobs,
                    stamp=archive.stamp, layers={**archive.layers, **known},
                )
            )  # fmt: skip

    def all(self) -> Iterator[KeptArchive]:
        """Every finished archive, the newest first."""
        with os_errors(self._folder):
            paths = sorted(self._folder.glob(f"*{_TAR}"), key=lambda path: (-path.stat().st_mtime_ns, path.name))
        yield from (found for path in paths if (found := self._read(path)) is not None)

    def places(self) -> dict[Digest, Place]:
        """Where blobs lie, by digest."""
        found: dict[Digest, Place] = {}
        for archive in self.all():
            found = {**archive.blobs, **found}
        return found

    def collect(self, keep: Collection[Digest]) -> Collected:
        """Removes archives that hold none of these blobs, or none that a newer one does not hold; and unfinished ones.

        Call it only with the store to yourself.
        """
        needed, staying = {*keep}, set()
        for archive in self.all():
            if not needed.isdisjoint(archive.blobs):
                staying |= {archive.path, archive.path.with_suffix(_NOTE)}
                needed -= archive.blobs.keys()
        with os_errors(self._folder):
            doomed = [path for path in self._folder.iterdir() if path not in staying]
            size = sum(path.lstat().st_blocks * 512 for path in doomed)
            for path in doomed:
                path.unlink()
        return Collected(files=len(doomed), size=size)

    def drop_replaced(self) -> None:
        """Removes archives that no bundle has any more and of which newer ones hold most: a mirror that is built every
        night would fill the disk otherwise. What they alone hold is fetched again by who builds that old lock.

        Call it only with the store to yourself.
        """
        if len([*self._folder.glob(f"*{_TAR}")]) < 2:
            return  # the newest stays: no note need be read
        newer: set[Digest] = set()
        for archive in self.all():
            again = sum(place.size for digest, place in archive.blobs.items() if digest in newer)
            with os_errors(archive.path):
                if 2 * again >= archive.size and archive.path.stat().st_nlink == 1:
                    unlink_large(archive.path)
                    archive.path.with_suffix(_NOTE).unlink()
                    continue
            newer |= archive.blobs.keys()

    def _read(self, path: Path) -> KeptArchive | None:
        note = path.with_suffix(_NOTE)
        try:
            plain = jsontext.decode_plain(note.read_bytes(), where=note)
            kept = KeptArchive(
                path=path,
                size=int(plain["size"]),
                sha256=Digest.parse(plain["sha256"]),
                blobs={
                    Digest.parse(digest): Place(path=path, offset=int(offset), size=int(size))
                    for digest, offset, size in plain["blobs"]
                },
                stamp=list(map(int, plain["stamp"])),
                layers=dict(map(report_from, plain["layers"])) if plain["reader"] == READER else {},
            )
            return kept if path.lstat().st_size == kept.size else None
        except (OSError, FormatError, KeyError, TypeError, ValueError, AttributeError):
            return None  # a note that cannot be read costs time, nothing else

    def _write(self, kept: KeptArchive) -> None:
        document: dict[str, Any] = {
            "size": kept.size,
            "sha256": str(kept.sha256),
            "blobs": [[str(digest), place.offset, place.size] for digest, place in kept.blobs.items()],
            "stamp": kept.stamp,
            "layers": [report_to(report) for _, report in sorted(kept.layers.items())],
            "reader": READER,
        }
        write_atomic(kept.path.with_suffix(_NOTE), jsontext.encode_canonical(document))
