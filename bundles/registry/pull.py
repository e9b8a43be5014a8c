"""A bundle out of a registry, byte for byte as it was pushed. Nothing of it is trusted here: `verify` decides that.

bundle.json comes first; it says the sha256 of every file, and where each blob of an archive lies. The images'
documents say the rest of an archive's bytes (sealed.layout). Blobs arrive at their places; one that two archives share
comes once.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles import index
from bundles.crew import Crew, Seat
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, SealiftError
from bundles.files import fsync_directory, make_folders, os_errors, write_atomic
from bundles.index import INDEX_NAME, Archive, BundleIndex
from bundles.reference import Reference
from bundles.registry import artifact
from bundles.registry.documents import TITLE, read_index, read_manifest
from bundles.registry.memory import in_memory
from bundles.registry.parts import PartFile, Piece, Plan, is_done, making, missing_bytes
from bundles.registry.place import Place, Repository
from bundles.registry.protocol import Registry
from bundles.registry.session import no_check
from bundles.sealed.layout import Entry, SealedImage, SealedLayout, lay_out
from bundles.signing import blob, envelope, names
from bundles.sums import sums_text
from bundles.talk import Progress, human_bytes

WORKERS: Final = 8
_MAX_CONFIG: Final = 8 << 20  # bytes, as sealed.read bounds documents
_MAX_DOCUMENTS: Final = 64 << 20  # bytes of all configs and indexes


@dataclass(frozen=True, kw_only=True, slots=True)
class Pulled:
    """What a pull brought: the bundle's folder, the digest in the registry, whether all was there before."""

    folder: Path
    digest: Digest
    index: BundleIndex
    signatures: tuple[str, ...]
    size: int  # bytes of blobs that came over the network
    was_there: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """The bundle in the registry: its documents, nothing of its content yet."""

    repository: Repository
    digest: Digest
    data: bytes
    document: BundleIndex


def pull_bundle(registry: Registry, place: Place, output: Path, progress: Progress) -> Pulled:
    """Pulls what lies at `place` into a folder of the bundle's own name below `output`.

    Interrupted, it goes on where it was. Raises FormatError for what is no bundle or not what its index says; the
    folder appears whole or not at all.
    """
    found = _find(registry, place)
    document = found.document
    name = index.folder_name(
        name=document.name, version=document.version, flavour=document.flavour, platform=document.platform
    )
    target = output / name
    signatures = _signatures(registry, found)
    if target.exists():
        _compare(target, found)
        _write(target, signatures)
        return _pulled(target, found, signatures, size=0, was_there=True)
    make_folders(output)
    stage = output / f".sealift-pull-{Digest.of(found.data).hex[:16]}"
    with _held(stage):
        plans = _plans(registry, found, stage)
        size = _fill(registry, found.repository, plans, progress)
        write_atomic(stage / index.sums_name(document.platform), _sums(found))
        _write(stage, signatures)
        write_atomic(stage / INDEX_NAME, found.data)
        with os_errors(target):
            os.rename(stage, target)
            fsync_directory(output)
    return _pulled(target, found, signatures, size=size, was_there=False)


def _find(registry: Registry, place: Place) -> _Found:
    top = registry.manifest(place.repository, place.reference, no_check)
    own = top
    if top.is_index:
        listed = artifact.own_manifest(read_index(top, where=place), where=place)
        own = registry.manifest(place.repository, str(listed.digest), no_check)
    layer = artifact.index_layer(read_manifest(own, where=place), where=place)
    data = in_memory(registry, place.repository, layer.digest, layer.size)
    document = index.decode(data, where=f"{place}: {INDEX_NAME}")
    artifact.check_paths(document, where=f"{place}: {INDEX_NAME}")
    return _Found(repository=place.repository, digest=top.digest, data=data, document=document)


def _plans(registry: Registry, found: _Found, stage: Path) -> list[Plan]:
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
    left = _MAX_DOCUMENTS
    for archive in found.document.archives:
        layout, used = _layout(registry, found, archive, left)
        left -= used
        plans.append(_archive_plan(layout, archive, stage / archive.path))
    for plan in plans:
        make_folders(plan.target.parent)
    return plans


def _layout(registry: Registry, found: _Found, archive: Archive, left: int) -> tuple[SealedLayout, int]:
    """An archive's layout out of its images' documents, held against bundle.json; and the bytes of those documents."""
    sizes = {one.digest: one.size for one in archive.blobs}
    listed = {one.reference: one for one in found.document.images if one.archive == archive.path}
    where = f"{found.repository}: {archive.path}"
    images: list[SealedImage] = []
    used = 0
    for reference in archive.images:
        if (image := listed.get(reference)) is None:
            raise FormatError("an image of an archive that bundle.json does not list", where=where, got=reference)
        manifest = registry.manifest(found.repository, str(image.digest), no_check)
        config = read_manifest(manifest, where=where).config.digest
        kept = image.index_digest if image.index_digest in sizes else None
        wanted = [digest for digest in (config, kept) if digest is not None]
        used += sum(sizes.get(digest, 0) for digest in wanted) + len(manifest.data)
        if used > left or any(not 0 <= sizes.get(digest, -1) <= _MAX_CONFIG for digest in wanted):
            raise LimitError("documents too large, or not in the archive", where=where, got=reference)
        read = {digest: in_memory(registry, found.repository, digest, sizes[digest]) for digest in wanted}
        images.append(
            SealedImage(
                reference=Reference.parse(reference),
                manifest=manifest.data,
                config=read[config],
                index=read[kept] if kept is not None else None,
            )
        )
    return lay_out(images, found.document.created), used


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


def _fill(registry: Registry, repository: Repository, plans: Sequence[Plan], progress: Progress) -> int:
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


def _signatures(registry: Registry, found: _Found) -> dict[str, bytes]:
    """The files that signing added, out of the referrers of what lies under the tag; of two of a name the last."""
    signed: dict[str, bytes] = {}
    for one in registry.referrers(found.repository, found.digest, no_check):
        if one.artifact_type != artifact.SIGNATURE:
            continue
        where = f"{found.repository}: {one.digest}"
        document = registry.manifest(found.repository, str(one.digest), no_check)
        for layer in read_manifest(document, where=where).layers[:1]:
            name = layer.annotations.get(TITLE, "")
            limit = envelope.MAX_MESSAGE if names.is_index_signature(name) else envelope.MAX_STATEMENT
            limit = limit if names.is_envelope(name) else blob.MAX_SIG
            if not names.is_signature(name) or layer.size > limit:
                raise FormatError("not a bundle's signature", where=where, got=f"{name[:100]!a}, {layer.size} bytes")
            signed[name] = in_memory(registry, found.repository, layer.digest, layer.size)
        if len(signed) > names.MAX_SIGNATURES:
            raise LimitError("too many signatures", where=where, want=f"<= {names.MAX_SIGNATURES}")
    return signed


def _sums(found: _Found) -> bytes:
    return sums_text(found.document, Digest.of(found.data)).encode()


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        write_atomic(folder / name, data)


@contextlib.contextmanager
def _held(stage: Path) -> Iterator[None]:
    """The folder in which the bundle grows; held, so that two pulls of one bundle do not write to one file."""
    with os_errors(stage):
        stage.mkdir(mode=0o755, exist_ok=True)
        fd = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise SealiftError("somebody else is pulling this bundle", where=stage) from exc
        except OSError:
            pass  # a filesystem without locks
        yield
    finally:
        os.close(fd)


def _compare(folder: Path, found: _Found) -> None:
    """A bundle that is there already: raises FormatError unless it is this one, byte for byte."""
    document = found.document
    expected = {archive.path: archive.sha256 for archive in document.archives}
    expected |= {file.path: file.sha256 for file in document.files}
    expected |= {INDEX_NAME: Digest.of(found.data), index.sums_name(document.platform): Digest.of(_sums(found))}
    for path, digest in expected.items():
        with os_errors(folder / path), (folder / path).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest.hex:
                hint = "remove it, or pull somewhere else"
                raise FormatError("there is another bundle of this name", where=folder / path, want=digest, hint=hint)


def _pulled(folder: Path, found: _Found, signatures: dict[str, bytes], *, size: int, was_there: bool) -> Pulled:
    return Pulled(
        folder=folder,
        digest=found.digest,
        index=found.document,
        signatures=tuple(sorted(signatures)),
        size=size,
        was_there=was_there,
    )
