"""Files of a bundle filled with blobs, several at once; one that two archives share comes once."""

import contextlib
import os
from collections.abc import Sequence
from typing import Final

from bundles.crew import Crew, Seat
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.files import os_errors
from bundles.registry.parts import PartFile, Piece, Plan, is_done, making, missing_bytes
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.talk import Progress, human_bytes

WORKERS: Final = 8


def fill(registry: Registry, repository: Repository, plans: Sequence[Plan], progress: Progress) -> int:
    """Fetches what is missing of all files, several blobs at once; returns the bytes that came over the network."""
    open_plans = [plan for plan in plans if not is_done(plan)]
    _check_room(open_plans)
    with contextlib.ExitStack() as stack:
        parts = [stack.enter_context(making(plan)) for plan in open_plans]
        places: dict[Digest, list[tuple[PartFile, Piece]]] = {}
        for part in parts:
            for piece in part.plan.pieces:
                places.setdefault(piece.digest, []).append((part, piece))
        total = sum(same[0][1].size for same in places.values())
        progress.begin(f"pulling from {repository}", total)

        def one(same: list[tuple[PartFile, Piece]], seat: Seat) -> int:
            return _fetch(registry, repository, same, progress, seat)

        came = Crew(one, lambda same: same[0][1].size).all(list(places.values()), WORKERS)
        progress.end()
        progress.begin("checking", sum(part.plan.size for part in parts))
        for part in parts:
            part.finish(progress.advance)
        progress.end()
    return sum(came)


def _fetch(
    registry: Registry, repository: Repository, same: list[tuple[PartFile, Piece]], progress: Progress, seat: Seat
) -> int:
    """One blob to all its places; returns the bytes that came."""
    part, piece = same[0]
    came = 0
    if len({other.size for _, other in same}) != 1:
        raise FormatError("one digest with two sizes", where=piece.digest)

    def write(data: bytes, offset: int) -> None:
        nonlocal came
        came += len(data)
        part.write(data, piece.offset + offset)
        progress.advance(len(data))

    registry.fetch(repository, piece.digest, piece.size, write, seat.go_on, part.present(piece))
    for other, place in same[1:]:
        part.copy(piece, other, place)
    return came


def _check_room(plans: Sequence[Plan]) -> None:
    """A disk that is too small is found out before hours of fetching."""
    if not plans:
        return
    folder = plans[0].target.parent
    needed = sum(map(missing_bytes, plans))
    with os_errors(folder):
        free = os.statvfs(folder)
    if needed > free.f_bavail * free.f_frsize:
        got = f"{human_bytes(free.f_bavail * free.f_frsize)} free"
        raise SealiftError("not enough room for the bundle", where=folder, got=got, want=human_bytes(needed))
