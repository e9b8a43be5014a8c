"""A bundle out of a registry, byte for byte as it was pushed. Nothing of it is trusted here: `verify` decides that.

bundle.json comes first; it says the sha256 of every file, and where each blob of an archive lies. The images'
documents say the rest of an archive's bytes (sealed.layout). Blobs arrive at their places; one that two archives share
comes once.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.files import fsync_directory, make_folders, os_errors, write_atomic
from bundles.index import INDEX_NAME, BundleIndex
from bundles.platform import Platform
from bundles.registry.found import Found, find, signatures_of
from bundles.registry.place import Place
from bundles.registry.protocol import Registry
from bundles.registry.pullfill import fill
from bundles.registry.pullplan import plans_of
from bundles.sums import sums_text
from bundles.talk import Progress


@dataclass(frozen=True, kw_only=True, slots=True)
class Pulled:
    """What a pull brought: the bundle's folder, the digest in the registry, whether all was there before."""

    folder: Path
    digest: Digest
    index: BundleIndex
    signatures: tuple[str, ...]
    size: int  # bytes of blobs that came over the network
    was_there: bool


def pull_bundle(
    registry: Registry, place: Place, output: Path, progress: Progress, platform: Platform | None = None
) -> Pulled:
    """Pulls what lies at `place` into a folder of the bundle's own name below `output`; of several, the platform's.

    Interrupted, it goes on where it was. Raises FormatError for what is no bundle or not what its index says; the
    folder appears whole or not at all.
    """
    found = find(registry, place, platform)
    document = found.document
    name = index.folder_name(
        name=document.name, version=document.version, flavour=document.flavour, platform=document.platform
    )
    target = output / name
    signatures = signatures_of(registry, found)
    if target.exists():
        _compare(target, found)
        _write(target, signatures)
        return _pulled(target, found, signatures, size=0, was_there=True)
    make_folders(output)
    stage = output / f".sealift-pull-{Digest.of(found.data).hex[:16]}"
    with _held(stage):
        plans = plans_of(registry, found, stage)
        size = fill(registry, found.repository, plans, progress)
        write_atomic(stage / index.sums_name(document.platform), _sums(found))
        _write(stage, signatures)
        write_atomic(stage / INDEX_NAME, found.data)
        with os_errors(target):
            os.rename(stage, target)
            fsync_directory(output)
    return _pulled(target, found, signatures, size=size, was_there=False)


def _sums(found: Found) -> bytes:
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


def _compare(folder: Path, found: Found) -> None:
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


def _pulled(folder: Path, found: Found, signatures: dict[str, bytes], *, size: int, was_there: bool) -> Pulled:
    return Pulled(
        folder=folder,
        digest=found.digest,
        index=found.document,
        signatures=tuple(sorted(signatures)),
        size=size,
        was_there=was_there,
    )
