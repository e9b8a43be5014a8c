"""Which archives in agent/images are imported: admitted ones whose bytes are right, each once. Pure.

RKE2 imports whatever lies there, and decides by size and modification time whether it did so before. Here the name
must be in admitted.json, the sha256 must match, and an archive is only passed over when this very file was imported
before and containerd still has every image of it under the right digest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from bundles.digest import Digest
from bundles.index import BundleIndex
from bundles.reference import Reference

PIN_LABELS: Final = {"io.cattle.rke2.pinned": "pinned", "io.cri-containerd.pinned": "pinned"}
FORMAT: Final = "1.0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Present:
    """A file as it lies there: `name` relative to agent/images, `size` in bytes, `mtime` in nanoseconds."""

    name: str
    size: int
    mtime: int
    inode: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """An admitted archive: `images` by normalised name, each with the digests it may have in containerd."""

    name: str
    size: int
    sha256: Digest
    images: Mapping[str, tuple[Digest, ...]]
    only_runtime: bool


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that was imported, as it lay there then; `images` are the names it gave."""

    name: str
    size: int
    mtime: int
    inode: int
    sha256: Digest | None
    images: dict[str, Digest]


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """imported.json: all archives that are in containerd."""

    format: str
    archives: list[Stamp]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredImage:
    """An image record of containerd."""

    name: str
    digest: Digest
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def pinned(self) -> bool:
        """Whether all pin labels are on it."""
        return all(self.labels.get(key) == value for key, value in PIN_LABELS.items())

    @property
    def marked(self) -> bool:
        """Whether any of them is."""
        return any(key in self.labels for key in PIN_LABELS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """An archive that is not imported, and why."""

    name: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorting:
    """The files of agent/images by what comes next; all sorted by name.

    Args:
        check: admitted, size is right, bytes are not known yet.
        known: admitted, and this very file was imported before.
        unlisted: nobody admitted them; imported all the same because the administrator said so.
        runtime: holds nothing but the runtime image, which is unpacked and never run.
        refused: with the reason.
    """

    check: tuple[Expected, ...]
    known: tuple[Expected, ...]
    unlisted: tuple[Present, ...]
    runtime: tuple[str, ...]
    refused: tuple[Problem, ...]


def expected_archives(index: BundleIndex) -> tuple[Expected, ...]:
    """The admitted bundle's index -> what may lie in agent/images."""
    runtime = Reference.parse(index.runtime.reference).name
    found = []
    for archive in index.archives:
        images = {
            Reference.parse(image.reference).name: tuple(d for d in (image.digest, image.index_digest) if d is not None)
            for image in index.images
            if image.archive == archive.path
        }
        only_runtime = set(images) == {runtime}
        name = Path(archive.path).name
        found.append(
            Expected(name=name, size=archive.size, sha256=archive.sha256, images=images, only_runtime=only_runtime)
        )
    return tuple(found)


def sort_files(
    present: Iterable[Present], expected: Iterable[Expected], stamps: Iterable[Stamp], *, allow_unlisted: bool
) -> Sorting:
    """Decides what becomes of each file; names of admitted archives that are missing are refused too."""
    files = {file.name: file for file in present}
    admitted = {archive.name: archive for archive in expected}
    stamped = {stamp.name: stamp for stamp in stamps}
    check, known, unlisted, runtime, refused = [], [], [], [], []
    for name in sorted(files.keys() | admitted.keys()):
        file, archive = files.get(name), admitted.get(name)
        if archive is None:
            assert file is not None
            if allow_unlisted:
                unlisted.append(file)
            else:
                refused.append(Problem(name=name, why="no admitted bundle lists it"))
        elif file is None:
            refused.append(Problem(name=name, why="missing, although the admitted bundle lists it"))
        elif file.size != archive.size:
            refused.append(Problem(name=name, why=f"damaged: {file.size} bytes, not {archive.size}"))
        elif archive.only_runtime:
            runtime.append(name)
        elif is_stamped(file, archive.sha256, stamped.get(name)):
            known.append(archive)
        else:
            check.append(archive)
    return Sorting(
        check=tuple(check),
        known=tuple(known),
        unlisted=tuple(unlisted),
        runtime=tuple(runtime),
        refused=tuple(refused),
    )


def is_stamped(file: Present, sha256: Digest | None, stamp: Stamp | None) -> bool:
    """Whether this very file is the one that was imported under the stamp."""
    return stamp is not None and (stamp.size, stamp.mtime, stamp.inode, stamp.sha256) == (
        file.size,
        file.mtime,
        file.inode,
        sha256,
    )


def missing_images(expected: Mapping[str, tuple[Digest, ...]], stored: Iterable[StoredImage]) -> tuple[str, ...]:
    """Names that containerd does not have, or has with another digest; sorted."""
    digests = {image.name: image.digest for image in stored}
    return tuple(sorted(name for name, allowed in expected.items() if digests.get(name) not in allowed))


def extra_names(name: str, digest: Digest, registry: str = "") -> tuple[str, ...]:
    """The further names an imported image gets (k3s pkg/agent/containerd, retagImages).

    `NAME@DIGEST`; and with a registry of the system's own, the same two below that. An image that is below it already
    gets no more of them.
    """
    reference = Reference.parse(name)
    repository = f"{reference.domain}/{reference.repository}"
    names = [f"{repository}@{digest}"]
    registry = registry.rstrip("/")
    if registry and not repository.startswith(f"{registry}/"):
        if reference.tag:
            names.append(f"{registry}/{reference.repository}:{reference.tag}")
        names.append(f"{registry}/{reference.repository}@{digest}")
    return tuple(names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pins:
    """Names to change: `pin` and `unpin` the labels, `tag` is (source, new names)."""

    pin: tuple[str, ...]
    unpin: tuple[str, ...]
    tag: tuple[tuple[str, tuple[str, ...]], ...]


def plan_pins(wanted: Iterable[str], stored: Iterable[StoredImage], registry: str = "") -> Pins:
    """What is to be pinned, named and let go, so that exactly the wanted images and their further names are pinned.

    Pinned images are never collected by the kubelet (RKE2: images of archives that left are unpinned, and then go the
    way of all others).
    """
    records = {image.name: image for image in stored}
    keep: set[str] = set()
    pin, tag = [], []
    for name in sorted(set(wanted) & records.keys()):
        image = records[name]
        names = extra_names(name, image.digest, registry)
        keep |= {name, *names}
        if not image.pinned:
            pin.append(name)
        if others := tuple(n for n in names if n not in records or records[n].digest != image.digest):
            tag.append((name, others))  # a new name takes over the labels of its source
        pin += [n for n in names if n not in others and not records[n].pinned]
    unpin = tuple(sorted(name for name, image in records.items() if image.marked and name not in keep))
    return Pins(pin=tuple(dict.fromkeys(pin)), unpin=unpin, tag=tuple(tag))
