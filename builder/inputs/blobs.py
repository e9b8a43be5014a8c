"""What a lock has by digest: packages, files of URLs, charts, images; each with the names that a fetch calls it by."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from builder.inputs.model import blob_source
from builder.lock.imagetext import MIRROR
from builder.lock.model import Lock, LockedFile, LockedInput

_DEB: Final = re.compile(r"_(?!amd64|all)([a-z0-9]+)\.deb$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Blobs:
    """One input: `source` as the archive calls it, `names` as wanted sources are called, its files."""

    source: str
    names: frozenset[str]
    files: tuple[LockedFile, ...]


def blob_inputs(lock: Lock, *, root: bool = True) -> Iterator[Blobs]:
    """All of a lock; `root`: those of the build root too."""
    for each in (*(lock.buildroot if root else ()), *lock.inputs):
        if each.files:
            source = blob_source(_source(each), each.files[0].digest)
            yield Blobs(source=source, names=frozenset({each.component, each.source}), files=each.files)
    for chart in lock.charts:
        if chart.source:
            file = LockedFile(name=f"{chart.name}-{chart.version}.tgz", size=chart.size, digest=chart.digest)
            yield Blobs(source=blob_source(chart.source, chart.digest), names=frozenset({chart.source}), files=(file,))
    yield from image_inputs(lock)


def _source(each: LockedInput) -> str:
    """A package of another architecture than the usual one is called so: one name stands for one content."""
    package, _, version = each.source.partition("=")
    architecture = _DEB.search(each.files[0].name)
    if not each.source.startswith("deb:") or architecture is None or ":" in package.removeprefix("deb:"):
        return each.source
    return f"{package}:{architecture[1]}={version}"


def image_inputs(lock: Lock) -> Iterator[Blobs]:
    """Images that are mirrored: manifests, configurations, layers, and what vouches for them."""
    for image in lock.images:
        if image.source.startswith(MIRROR):
            blobs = {blob.digest: blob.size for blob in image.blobs}
            files = tuple(LockedFile(name=digest.hex, size=size, digest=digest) for digest, size in blobs.items())
            source = blob_source(image.source, image.manifest.digest)
            yield Blobs(source=source, names=frozenset({image.source}), files=files)
