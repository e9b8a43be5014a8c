"""The sealed profile (bundle-format 6) for one archive: structure, documents, every blob's digest and diff id.

No reader downstream checks digests or diff ids; a flipped bit becomes a node with missing programs. Layers are read
beside each other (sha256 and zstd release the interpreter's lock), each byte once: read, hashed, decompressed and
hashed again on one thread, in pieces that fit its core's cache.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bundles import oci
from bundles.crew import Crew, Seat
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.framed import ZstdLayer, gunzip, within_ratio
from bundles.index import Archive, Image
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.region import Region, open_region
from bundles.sealed.entries import EntryScan
from bundles.sealed.layout import blob_name
from bundles.sealed.read import OpenedImage, SealedArchive, SealedLayer, read_sealed, tag_name
from bundles.sealed.report import ArchiveReport, ImageReport, LayerReport
from bundles.talk import Progress, SilentProgress

RUNTIME_REPOSITORY: Final = "rke2-runtime"
_PLAIN = (oci.LAYER_TAR, oci.DOCKER_LAYER_TAR)
_GZIP = (oci.LAYER_GZIP, oci.DOCKER_LAYER_GZIP)

Frames = tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What an archive is held against; all that is left out is not compared.

    `platform`: of every image. `archive` and `images`: bundle.json's. `runtime`: the runtime image's reference; when
    None an image called rke2-runtime is. `mtime`: of each member, seconds since the epoch. `seen`: see bundles.seen.
    """

    platform: Platform | None = None
    archive: Archive | None = None
    images: Sequence[Image] | None = None
    runtime: Reference | None = None
    mtime: int | None = None
    seen: Mapping[Digest, LayerReport] = field(default_factory=lambda: MappingProxyType({}))


def verify_archive(
    path: Path,
    *,
    platform: Platform | None = None,
    quick: bool = False,
    progress: Progress | None = None,
    expected: Archive | None = None,
    images: Sequence[Image] | None = None,
    workers: int = 2,
) -> ArchiveReport:
    """Checks one sealed archive from its first byte to its last.

    Args:
        path: the file.
        platform: what every image must be for; else the archive's own images say it.
        quick: every blob's digest, but nothing is decompressed: no diff ids, no programs.
        progress: told of bytes read.
        expected: what bundle.json says of the archive.
        images: what bundle.json says of its images.
        workers: layers that are checked at the same time.

    Raises FormatError that names the archive and the member, blob or entry that fails first in the archive's order;
    MissingError when there is no such file.
    """
    talk = progress or SilentProgress()
    with open_region(path) as region:
        talk.begin(f"checking {path.name}", region.size)
        wanted = Wanted(platform=platform, archive=expected, images=images)
        report = verify_region(region, wanted, quick=quick, progress=talk, workers=workers)
        talk.end()
    return report


def verify_region(region: Region, wanted: Wanted, *, quick: bool, progress: Progress, workers: int) -> ArchiveReport:
    """The same for an archive inside another file, or one that is copied while it is checked: see Region."""
    archive = read_sealed(region, expected=wanted.archive, mtime=wanted.mtime)
    _check_images(archive, wanted)
    layer_bytes = sum(entry.size for _, entry in archive.layout.blobs() if entry.content is None)
    progress.advance(region.size - layer_bytes)
    jobs = _jobs(archive, wanted)
    checker = _Checker(region, progress, quick, wanted.seen)
    reports = Crew(checker.check, _weight).all(jobs, workers)
    found = {report.digest: report for report in reports}
    programs = tuple(sorted(name for job in jobs if job.scan for name in job.scan.programs))
    if not quick and any(job.scan for job in jobs) and not programs:
        raise FormatError("the runtime image holds no programs in /bin", where=region.where)
    return ArchiveReport(
        where=region.where,
        size=region.size,
        images=tuple(_image_report(image, found) for image in archive.images),
        blobs=len(list(archive.layout.blobs())),
        quick=quick,
        programs=programs,
    )


def _check_images(archive: SealedArchive, wanted: Wanted) -> None:
    """Platforms, and bundle.json's digests."""
    digests = {tag_name(Reference.parse(image.reference)): image.digest for image in wanted.images or ()}
    for image in archive.images:
        name = tag_name(image.reference)
        where = f"{archive.region.where}: {name}"
        platform = wanted.platform or archive.images[0].platform
        same = (image.platform.os, image.platform.architecture) == (platform.os, platform.architecture)
        if not same or (platform.variant and image.platform.variant not in ("", platform.variant)):
            raise FormatError("an image for another platform", where=where, got=image.platform, want=platform)
        if wanted.images is not None and digests.get(name) != image.digest:
            got, want = image.digest, digests.get(name, "no such image")
            raise FormatError("another image than bundle.json says", where=where, got=got, want=want)


@dataclass(slots=True)
class _Job:
    """One stored layer, and all that images and bundle.json say of it."""

    layer: SealedLayer
    where: str
    frames: Frames | None
    scan: EntryScan | None
    diff_ids: set[Digest] = field(default_factory=set)


def _jobs(archive: SealedArchive, wanted: Wanted) -> list[_Job]:
    """Each layer once, in the archive's order, whichever images use it."""
    frames = {blob.digest: blob.frames for blob in (wanted.archive.blobs if wanted.archive else ())}
    jobs: dict[Digest, _Job] = {}
    for image in archive.images:
        machine = (wanted.platform or image.platform).elf_machine
        for layer in image.layers:
            job = jobs.get(layer.digest)
            if job is None:
                where = f"{archive.region.where}: {blob_name(layer.digest)}"
                listed = frames.get(layer.digest)
                job = jobs[layer.digest] = _Job(layer, where, tuple(listed) if listed else None, None)
            if job.scan is None and is_runtime(image, wanted.runtime):
                job.scan = EntryScan(machine, job.where)
            job.diff_ids.add(layer.diff_id)
    return list(jobs.values())


def is_runtime(image: OpenedImage, runtime: Reference | None) -> bool:
    """Whether this is the image that nodes unpack first."""
    if runtime is not None:
        return tag_name(image.reference) == tag_name(runtime)
    return image.reference.repository.rpartition("/")[2] == RUNTIME_REPOSITORY


@dataclass(frozen=True, slots=True)
class _Checker:
    """Checks single layers of the archive in `region`."""

    region: Region
    progress: Progress
    quick: bool
    seen: Mapping[Digest, LayerReport]

    def check(self, job: _Job, seat: Seat) -> LayerReport:
        """Hashes what is stored and what is inside in one pass; damage is told as damage of the blob."""
        stored = hashlib.sha256()
        chunks = self._chunks(job, seat, stored)
        size: int | None = None
        frames: Frames | None = None
        failure: FormatError | None = None
        try:
            if (known := _known(job, self.seen.get(job.layer.digest))) is not None:
                size, frames = known.content_size, known.frames
            elif not self.quick:
                size, frames = _check_content(job, chunks, seat)
        except FormatError as exc:
            failure = exc
        for _ in chunks:
            pass  # to the end: only the digest says whether the blob is damaged or was made wrongly
        found = Digest(stored.hexdigest())
        if found != job.layer.digest:
            hint = "the archive is damaged: get it again"
            raise FormatError("a damaged blob", where=job.where, got=found, want=job.layer.digest, hint=hint)
        if failure is not None:
            raise failure
        return _layer_report(job.layer, size, frames)

    def _chunks(self, job: _Job, seat: Seat, stored: "hashlib._Hash") -> Iterator[bytes]:
        for chunk in self.region.chunks(job.layer.entry.offset, job.layer.entry.size):
            seat.go_on()
            stored.update(chunk)
            self.progress.advance(len(chunk))
            yield chunk


def _known(job: _Job, report: LayerReport | None) -> LayerReport | None:
    """A report that already answers all that is asked of this layer; programs are always looked at."""
    if report is None or report.content_size is None or job.scan is not None:
        return None
    same = {report.diff_id} == job.diff_ids and report.media_type == job.layer.media_type
    return report if same and job.frames in (None, report.frames) else None


def _weight(job: _Job) -> int:
    """Bytes to go through, as far as anybody says: what is told wrongly costs time alone."""
    return job.layer.entry.size + sum(content for _, content in job.frames or ())


def _check_content(job: _Job, chunks: Iterator[bytes], seat: Seat) -> tuple[int, Frames | None]:
    """Decompresses: diff id, frames, entries. Returns bytes of content, and the frames of a zstd layer."""
    kind = job.layer.media_type
    zstd_layer: ZstdLayer | None = None
    if kind in _PLAIN:
        content = chunks
    elif kind in _GZIP:
        content = gunzip(chunks, job.where)
    elif kind == oci.LAYER_ZSTD:
        zstd_layer = ZstdLayer(chunks, job.where)
        content = zstd_layer.content()
    else:
        raise FormatError("a layer of unknown media type", where=job.where, got=kind)
    with contextlib.closing(seat.ahead(content)) as pieces:
        size = _check_diff_id(job, pieces)
    if zstd_layer is None:
        return size, None
    _check_frames(job, zstd_layer)
    return size, tuple(zstd_layer.frames)


def _check_diff_id(job: _Job, content: Iterator[bytes]) -> int:
    diff, size = hashlib.sha256(), 0
    scan_failure: FormatError | None = None
    for piece in within_ratio(content, job.layer.entry.size, job.where):
        diff.update(piece)
        size += len(piece)
        if job.scan is not None and scan_failure is None:
            try:
                job.scan.feed(piece)
            except FormatError as exc:
                scan_failure = exc
    found = Digest(diff.hexdigest())
    if {found} != job.diff_ids:
        want = ", ".join(map(str, sorted(job.diff_ids)))
        raise FormatError("a layer with another diff id than its image says", where=job.where, got=found, want=want)
    if scan_failure is not None:
        raise scan_failure
    if job.scan is not None:
        job.scan.finish()
    return size


def _check_frames(job: _Job, layer: ZstdLayer) -> None:
    """Frame list and seek table are hints for others, so they must be true."""
    if layer.seek_table is not None and layer.seek_table != layer.frames:
        raise FormatError("a seek table that does not match the frames", where=job.where)
    if job.frames is None:
        return
    if list(job.frames) != layer.frames:
        got, want = f"{len(layer.frames)} frames", f"{len(job.frames)} frames"
        raise FormatError("other frames than bundle.json says", where=job.where, got=got, want=want)
    if not layer.small or layer.seek_table is None:
        want = "frames <= 8 MiB with content size and checksum, and a seek table"
        raise FormatError("a framed layer that breaks the rules of frames", where=job.where, want=want)


def _layer_report(layer: SealedLayer, size: int | None, frames: Frames | None) -> LayerReport:
    return LayerReport(
        digest=layer.digest,
        size=layer.entry.size,
        diff_id=layer.diff_id,
        media_type=layer.media_type,
        content_size=size,
        frames=frames,
    )


def _image_report(image: OpenedImage, layers: dict[Digest, LayerReport]) -> ImageReport:
    return ImageReport(
        reference=image.reference.name,
        digest=image.digest,
        config=image.config,
        platform=image.platform,
        layers=tuple(layers[layer.digest] for layer in image.layers),
    )
