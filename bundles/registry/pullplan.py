"""The files of a bundle in a registry, as what they are made of: nothing is fetched but the images' documents."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bundles.crew import Crew, Seat
from bundles.errors import FormatError, LimitError
from bundles.files import make_folders
from bundles.index import Archive
from bundles.reference import Reference
from bundles.registry.documents import read_manifest
from bundles.registry.found import Found
from bundles.registry.memory import in_memory
from bundles.registry.parts import Piece, Plan
from bundles.registry.protocol import Registry
from bundles.registry.pullfill import WORKERS
from bundles.sealed.layout import Entry, SealedLayout, lay_out
from bundles.sealed.opened import SealedImage

_MAX_CONFIG: Final = 8 << 20  # bytes, as sealed.read bounds documents
_MAX_DOCUMENTS: Final = 64 << 20  # bytes of all configs and indexes


def plans_of(registry: Registry, found: Found, stage: Path) -> list[Plan]:
    """All files of the bundle, as what they are made of; their folders are made."""
    plans = [
        Plan(
            target=stage / file.path,
            size=file.size,
            sha256=file.sha256,
            pieces=[Piece(digest=file.sha256, offset=0, size=file.size)],
        )
        for file in found.document.files
    ]
    budget = _Budget()
    for archive in found.document.archives:
        layout = _layout(registry, found, archive, budget)
        plans.append(_archive_plan(layout, archive, stage / archive.path))
    for plan in plans:
        make_folders(plan.target.parent)
    return plans


class _Budget:
    """Bytes of documents that may still be kept in memory; for any thread."""

    def __init__(self) -> None:
        self._left, self._lock = _MAX_DOCUMENTS, threading.Lock()

    def take(self, sizes: Sequence[int], where: str) -> None:
        """Raises LimitError for sizes that no document of an archive has (-1: it is not there), and for too many."""
        with self._lock:
            self._left -= sum(sizes)
            if self._left < 0 or any(not 0 <= size <= _MAX_CONFIG for size in sizes):
                raise LimitError("documents too large, or not in the archive", where=where)


def _layout(registry: Registry, found: Found, archive: Archive, budget: _Budget) -> SealedLayout:
    """An archive's layout out of its images' documents, held against bundle.json."""
    sizes = {one.digest: one.size for one in archive.blobs}
    listed = {one.reference: one for one in found.document.images if one.archive == archive.path}

    def read(reference: str, seat: Seat) -> SealedImage:
        where = f"{found.repository}: {archive.path}: {reference}"
        if (image := listed.get(reference)) is None:
            raise FormatError("an image of an archive that bundle.json does not list", where=where)
        manifest = registry.manifest(found.repository, str(image.digest), seat.go_on)
        config = read_manifest(manifest, where=where).config.digest
        kept = image.index_digest if image.index_digest in sizes else None
        wanted = [digest for digest in (config, kept) if digest is not None]
        budget.take([len(manifest.data), *(sizes.get(digest, -1) for digest in wanted)], where)
        got = {digest: in_memory(registry, found.repository, digest, sizes[digest]) for digest in wanted}
        return SealedImage(
            reference=Reference.parse(reference),
            manifest=manifest.data,
            config=got[config],
            index=got[kept] if kept is not None else None,
        )

    return lay_out(Crew(read, len).all(archive.images, WORKERS), found.document.created)


def _archive_plan(layout: SealedLayout, archive: Archive, target: Path) -> Plan:
    """The layout as a plan; raises FormatError when bundle.json says something else of the archive."""
    told = [(one.digest, one.size, one.offset) for one in archive.blobs]
    if layout.size != archive.size or told != [(d, entry.size, entry.offset) for d, entry in layout.blobs()]:
        hint = "bundle.json and the images in the registry do not belong together"
        raise FormatError("another archive than bundle.json says", where=archive.path, hint=hint)
    fixed = [(entry.offset - len(header), header) for entry in layout.entries if (header := layout.header(entry))]
    fixed += [(entry.offset, entry.content) for entry in layout.entries if entry.content is not None]
    layers = [_piece(entry) for entry in layout.entries if entry.content is None]
    return Plan(target=target, size=archive.size, sha256=archive.sha256, pieces=layers, fixed=fixed)


def _piece(entry: Entry) -> Piece:
    assert entry.digest is not None  # a member without content is a layer
    return Piece(digest=entry.digest, offset=entry.offset, size=entry.size)
