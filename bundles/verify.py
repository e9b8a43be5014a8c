"""The sealed profile (bundle-format 6) for a whole bundle: a folder, or one `.sealift` file."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles import index
from bundles.consistency import check_index
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError, printable
from bundles.files import fsync_directory, os_errors, pwrite_all
from bundles.index import Archive, BundleIndex
from bundles.platform import Platform
from bundles.policy.judge import Verdict
from bundles.reference import Reference
from bundles.region import Region
from bundles.sealed.report import ArchiveReport
from bundles.sealed.verify import Wanted, verify_region
from bundles.seen import Seen
from bundles.signing.envelope import MAX_STATEMENT
from bundles.signing.names import MAX_SIGNATURES, is_attestation, is_index_signature, is_signature
from bundles.source import BundleSource, open_source
from bundles.sums import sums_text
from bundles.talk import Progress, SilentProgress
from bundles.trust import Decision, Trust, refused

_MAX_SUMS: Final = 4 << 20  # bytes


Decide = Callable[[BundleIndex, Verdict, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleReport:
    """A bundle that holds: `index_digest` is that of bundle.json; `archives` in the index's order; `size` in bytes.

    `decision`: whose signatures it was read for.
    """

    where: str
    index: BundleIndex
    index_digest: Digest
    archives: tuple[ArchiveReport, ...]
    size: int
    trust: Trust
    decision: Decision
    quick: bool


def verify_bundle(
    path: Path,
    trust: Trust,
    *,
    quick: bool = False,
    progress: Progress | None = None,
    platform: Platform | None = None,
    now: int | None = None,
    decide: Decide | None = None,
    stage_to: Path | None = None,
    workers: int = 2,
    seen: Seen | None = None,
) -> BundleReport:
    """Checks a bundle in the order of bundle-format 6, naming the first thing that fails.

    Args:
        path: the bundle's folder or `.sealift` file.
        trust: from `bundles.trust.require`.
        quick: every blob's digest, but no diff ids and no programs.
        platform: the node's, when the bundle must be for it; else the index says the platform.
        now: seconds since the epoch, when an expired bundle must be refused; None: no clock is looked at.
        decide: gets what stands against the bundle by the rules of `trust`; raises unless it is to be read on. A node
            adds its own rules here (roll back); by default every refusal counts.
        stage_to: an empty folder on the target filesystem: every byte is copied while it is checked, files and folders
            are fsynced; the caller renames it. After an error what it holds is to be thrown away.
        workers: threads that hash and decompress.
        seen: what the caller knows from reading it before. Archives of it are not reported.

    Raises TrustError (signature, sequence, expiry), FormatError, MissingError, or SealiftError for a full disk.
    """
    with open_source(path) as source:
        data, signatures = source.envelope()
        decision = trust.check(data, signatures, where=source.where)
        document = index.decode(data, where=f"{source.where}: {index.INDEX_NAME}")
        verdict = trust.examine(document, decision, source, now=now)
        (decide or refuse_all)(document, verdict, source.where)
        _check_platform(document, platform, source.where)
        check_index(document, where=f"{source.where}: {index.INDEX_NAME}")
        stage = _Stage(stage_to)
        talk = progress or SilentProgress()
        reader = _Reader(source, document, data, signatures, talk, stage, quick, workers, seen or Seen())
        archives = reader.check()
    return BundleReport(
        where=source.where,
        index=document,
        index_digest=Digest.of(data),
        archives=archives,
        size=sum(archive.size for archive in document.archives) + sum(file.size for file in document.files),
        trust=trust,
        decision=decision,
        quick=quick,
    )


def refuse_all(document: BundleIndex, verdict: Verdict, where: str) -> None:
    """Every refusal counts: raises TrustError with all of them."""
    if verdict.refusals:
        raise refused(verdict.refusals, where=where)


def _check_platform(document: BundleIndex, platform: Platform | None, where: str) -> None:
    if platform is not None and Platform.parse(document.platform) != platform:
        raise FormatError("a bundle for another platform", where=where, got=document.platform, want=platform)


class _Stage:
    """Where checked files are copied to; with no folder it does nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def copying(self, region: Region, path: str) -> Iterator[Region]:
        """The region, with a durable copy under `path` made of what is read of it."""
        if self._folder is None:
            yield region
            return
        with self._file(path, region.size) as fd:
            yield region.copied_to(fd, self._folder / path)

    def put(self, path: str, data: bytes) -> None:
        """A small file that is in memory already."""
        if self._folder is not None:
            with self._file(path, len(data)) as fd, os_errors(self._folder / path):
                pwrite_all(fd, data, 0)

    def settle(self) -> None:
        """Makes the names durable."""
        if self._folder is not None:
            with os_errors(self._folder):
                for path, _, _ in os.walk(self._folder, topdown=False):
                    fsync_directory(Path(path))

    @contextlib.contextmanager
    def _file(self, path: str, size: int) -> Iterator[int]:
        assert self._folder is not None
        target = self._folder / path
        with os_errors(target):
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            with os_errors(target):
                _allocate(fd, size)
            yield fd
            with os_errors(target):
                os.fchmod(fd, 0o644)
                os.fsync(fd)
        finally:
            os.close(fd)


def _allocate(fd: int, size: int) -> None:
    """A full disk is found out before hours of copying, not after."""
    if not size:
        return
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as exc:
        if exc.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
        os.ftruncate(fd, size)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Checks a bundle's files against its index, in the order: what is there, small files, archives."""

    source: BundleSource
    document: BundleIndex
    data: bytes
    signatures: Mapping[str, bytes]
    progress: Progress
    stage: _Stage
    quick: bool
    workers: int
    seen: Seen

    def check(self) -> tuple[ArchiveReport, ...]:
        """Reports of the archives; raises for the first file that is not as listed."""
        present = self.source.files()
        check_names(self.document, present, where=self.source.where)
        self.stage.put(index.INDEX_NAME, self.data)
        self._keep_signatures(present)
        self._check_sums()
        for file in self.document.files:
            self._check_file(file)
        reports = tuple(report for each in self.document.archives if (report := self._check_archive(each)))
        self.stage.settle()
        return reports

    def _keep_signatures(self, present: list[str]) -> None:
        """What was decided on is what is kept; signed statements are kept as they are, for whoever asks for them."""
        if [path for path in present if is_index_signature(path)] != sorted(self.signatures):
            raise FormatError("the bundle's signatures changed while it was read", where=self.source.where)
        for name, data in self.signatures.items():
            self.stage.put(name, data)
        statements = list(filter(is_attestation, present))
        if len(statements) > MAX_SIGNATURES:
            raise LimitError("too many signed statements", where=self.source.where, want=f"<= {MAX_SIGNATURES}")
        left = MAX_STATEMENT
        for name in statements:
            with self.source.open(name) as original:
                left -= original.size
                if left < 0:  # nobody's signature vouches for them yet: they must not fill the disk
                    want = f"<= {MAX_STATEMENT} bytes together"
                    raise LimitError("signed statements too large", where=original.where, want=want)
                with self.stage.copying(original, name) as region:
                    for _ in region.chunks(0, region.size):
                        pass

    def _small(self, path: str, limit: int) -> bytes:
        with self.source.open(path) as region:
            if region.size > limit:
                raise LimitError("file too large", where=region.where, got=f"{region.size} bytes", want=f"<= {limit}")
            return region.read(0, region.size)

    def _check_sums(self) -> None:
        name = index.sums_name(self.document.platform)
        text = sums_text(self.document, Digest.of(self.data)).encode()
        data = self._small(name, max(len(text), _MAX_SUMS))
        if data != text:
            hint = f"{index.INDEX_NAME} or this file was changed or damaged"
            where = f"{self.source.where}: {name}"
            raise FormatError("checksums that are not the index's", where=where, hint=hint)
        self.stage.put(name, data)

    def _check_file(self, file: index.File) -> None:
        with self.source.open(file.path) as original, self.stage.copying(original, file.path) as region:
            if region.size != file.size:
                got, want = f"{region.size} bytes", f"{file.size} bytes"
                raise FormatError("another size than bundle.json says", where=region.where, got=got, want=want)
            found = hashlib.sha256()
            for chunk in region.chunks(0, region.size):
                found.update(chunk)
            if found.hexdigest() != file.sha256.hex:
                got = f"sha256:{found.hexdigest()}"
                raise FormatError("a damaged file", where=region.where, got=got, want=file.sha256)

    def _check_archive(self, archive: Archive) -> ArchiveReport | None:
        wanted = Wanted(
            platform=Platform.parse(self.document.platform),
            archive=archive,
            images=[image for image in self.document.images if image.archive == archive.path],
            runtime=Reference.parse(self.document.runtime.reference),
            mtime=self.document.created,
            seen=self.seen.layers,
        )
        with self.source.open(archive.path) as original:
            if original.size != archive.size:
                got, want = f"{original.size} bytes", f"{archive.size} bytes"
                raise FormatError("another size than bundle.json says", where=original.where, got=got, want=want)
            if archive.path in self.seen.archives:
                return None
            with self.stage.copying(original, archive.path) as region:
                self.progress.begin(f"checking {archive.path.rpartition('/')[2]}", region.size)
                report = verify_region(region, wanted, quick=self.quick, progress=self.progress, workers=self.workers)
                self.progress.end()
        return report


def check_names(document: BundleIndex, present: list[str], *, where: str) -> None:
    """The paths in a bundle against its index: raises MissingError, FormatError for a file that is not listed."""
    archives = {archive.path for archive in document.archives}
    needed = {index.INDEX_NAME, index.sums_name(document.platform)} | archives | {file.path for file in document.files}
    missing = sorted(needed.difference(present))
    unlisted = sorted(path for path in set(present) - needed if not is_signature(path))
    if missing:
        hint = "the copy is not complete: copy the bundle again"
        raise MissingError(f"missing from the bundle: {_few(missing)}", where=where, hint=hint)
    if unlisted:
        hint = "remove what does not belong to the bundle"
        raise FormatError(f"not listed in bundle.json: {_few(unlisted)}", where=where, hint=hint)


def _few(names: list[str]) -> str:
    return ", ".join(map(printable, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
