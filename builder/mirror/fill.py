"""Fills an archive of layers that somebody else made: every byte is written once, at its final offset.

Sizes and places of all blobs are known from the lock before one is fetched. Layers come from a registry, each hashed as
it arrives, gone on with where a cut or a killed build left it; or from a file that has them, hashed as they are copied.
"""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from builder.mirror.follow import Follower
from builder.mirror.kept import Place
from builder.store import Store
from bundles.crew import Crew, Seat
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.files import os_errors
from bundles.layers.model import Part
from bundles.region import open_region
from bundles.registry.parts import PartFile, Piece, Plan, making
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.sealed.layout import SealedLayout
from bundles.talk import Progress

WORKERS: Final = 8  # layers on their way at once: they fill a line, and memory
_COPIES: Final = 2  # from one file of this machine to another: more wait for the file's lock in the kernel, spinning
_BUFFER: Final = 1 << 19  # bytes
Check = Callable[[], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Where layers are: `parts` of those that were made here, `places` in files; `ask` gives the registry for those
    of `remote`, None when nobody may be asked.
    """

    store: Store
    parts: Mapping[Digest, Sequence[Part]]
    places: Mapping[Digest, Place]
    remote: Mapping[Digest, Repository]
    ask: Callable[[], Registry] | None

    def local(self, digest: Digest, size: int) -> list[Place]:
        """The pieces of a layer in files of this machine; none when it has to be fetched."""
        if parts := self.parts.get(digest):
            return [Place(path=self.store.path(part.digest), offset=part.offset, size=part.size) for part in parts]
        if self.store.has(digest, size):
            return [Place(path=self.store.path(digest), offset=0, size=size)]
        place = self.places.get(digest)
        return [place] if place is not None and place.size == size else []

    def asking(self, ask: Callable[[], Registry] | None) -> "Sources":
        """The same, with a registry to ask."""
        return replace(self, ask=ask)


def archive_plan(layout: SealedLayout, target: Path) -> Plan:
    """The layout as a file to be made of pieces; its sha256 is told by `fill`."""
    fixed = [(entry.offset - len(header), header) for entry in layout.entries if (header := layout.header(entry))]
    fixed += [(entry.offset, entry.content) for entry in layout.entries if entry.content is not None]
    pieces = [
        Piece(digest=entry.digest, offset=entry.offset, size=entry.size)
        for entry in layout.entries
        if entry.content is None and entry.digest is not None
    ]
    return Plan(target=target, size=layout.size, sha256=None, pieces=pieces, fixed=fixed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """The file's sha256; `waited`: seconds for the disk, after all else was done."""

    sha256: Digest
    waited: float


def fill(plan: Plan, sources: Sources, progress: Progress, check: Check, clock: Callable[[], float]) -> Filled:
    """Makes the file of a plan, durable and named; a file that was begun is gone on with. `clock` gives seconds.

    Raises what the registry client raises, FormatError for damaged content of the store; what is there stays.
    """
    with making(plan) as part:
        progress.begin(f"filling {plan.target.name}", sum(piece.size for piece in plan.pieces))
        copying = threading.BoundedSemaphore(_COPIES)

        def one(piece: Piece, seat: Seat) -> None:
            def go_on() -> None:
                seat.go_on()
                check()

            _fill_one(part, piece, sources, progress, go_on, copying)
            follower.whole(piece)

        # In the order of their places: so the hash of the whole follows close behind.
        with Follower(part) as follower:
            Crew(one, lambda piece: -piece.offset).all(plan.pieces, WORKERS)
            sha256 = follower.sha256()
            progress.end()
            since = clock()
            progress.begin("flushing the archive", None)
            follower.flushed()
            part.name()
        progress.end()
    return Filled(sha256=sha256, waited=clock() - since)


def _fill_one(
    part: PartFile, piece: Piece, sources: Sources, progress: Progress, check: Check,
    copying: contextlib.AbstractContextManager[Any],
) -> None:  # fmt: skip
    def write(data: bytes | memoryview, offset: int) -> None:
        part.write(data, piece.offset + offset)
        progress.advance(len(data))

    local = sources.local(piece.digest, piece.size)
    remote = sources.remote.get(piece.digest)
    if local:
        try:
            with copying:
                _copy(local, piece, write, check)
            return
        except (FormatError, MissingError):
            if remote is None or sources.ask is None:
                raise
    assert remote is not None and sources.ask is not None  # the caller looked
    sources.ask().fetch(remote, piece.digest, piece.size, write, check, part.present(piece))


def _copy(places: Sequence[Place], piece: Piece, write: Callable[[memoryview, int], None], check: Check) -> None:
    found, at = hashlib.sha256(), 0
    for data in read_places(places):
        check()
        found.update(data)
        write(data, at)
        at += len(data)
    if at != piece.size or found.hexdigest() != piece.digest.hex:
        hint = "the store or the disk is damaged: remove it from the store and run the same command again"
        where = ", ".join(dict.fromkeys(str(place.path) for place in places))
        raise FormatError("stored content is not what it was", where=where, want=piece.digest, hint=hint)


def read_places(places: Iterable[Place]) -> Iterator[memoryview]:
    """The bytes of places, one after the other; each piece is there until the next one is asked for."""
    buffer = bytearray(_BUFFER)
    for place in places:
        with os_errors(place.path), open_region(place.path) as whole:
            yield from whole.part(place.offset, place.size, str(place.path)).views(0, place.size, buffer)
