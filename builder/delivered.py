"""What was delivered where: a note in the store for each bundle's folder, with the stamp of every file in it.

A file whose size, mtime, inode and mode are still those of its note was not touched since it was written and verified.
So a bundle that has not changed is not built again, and an archive that has not changed is taken into the folder that
replaces it by a hard link: not written, not read. Of an archive that has changed, what the strict reader found in the
layers that have not is noted too: their bytes are hashed, not decompressed. `sealift verify` reads everything, always.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.assemble import ArchivePlan, WrittenBundle
from builder.store import Store
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import make_folders, write_atomic
from bundles.sealed.layout import SealedLayout
from bundles.sealed.report import LayerReport
from bundles.sealed.write import WrittenArchive
from bundles.seen import READER
from bundles.signing.names import is_signature

if TYPE_CHECKING:
    from bundles.verify import BundleReport

Stamp = list[int]  # size in bytes, mtime in nanoseconds, inode, mode


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """The note of one folder; empty for a folder that we know nothing of.

    `spec` is the identity of what was delivered; `files` has a stamp for each file (signatures apart), `archives` the
    identity of each one's layout and its sha256, `layers` what was found in those that we made.
    """

    target: Path
    spec: str = ""
    files: Mapping[str, Stamp] = field(default_factory=dict)
    archives: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    layers: Mapping[Digest, LayerReport] = field(default_factory=dict)

    def holds(self, spec: Digest) -> bool:
        """Whether the folder is the one that was delivered for `spec`, untouched."""
        return self.spec == str(spec) and self.target.is_dir() and self.files == _stamps(self.target)

    def link(self, plan: ArchivePlan, folder: Path) -> WrittenArchive | None:
        """The same archive in another folder, if it was delivered here with the same layout and is untouched.

        None where it was not, or where the filesystem knows no hard links: then it has to be written.
        """
        layout, sha256 = self.archives.get(plan.path, ("", ""))
        if layout != str(layout_identity(plan.layout)):
            return None
        try:
            os.link(self.target / plan.path, folder / plan.path, follow_symlinks=False)
            if stamp(folder / plan.path) == self.files.get(plan.path):
                return WrittenArchive(size=plan.layout.size, sha256=Digest.parse(sha256))
            os.unlink(folder / plan.path)
        except OSError:
            pass
        return None


def read_delivered(store: Store, target: Path) -> Delivered:
    """The note of `target`; an empty one when there is none, or a damaged one: that costs time, nothing else."""
    path = _note_path(store, target)
    try:
        plain = jsontext.decode_plain(path.read_bytes(), where=path)
        if plain["target"] != str(target.absolute()):
            return Delivered(target=target)
        return Delivered(
            target=target,
            spec=str(plain["spec"]),
            files=dict(plain["files"]),
            archives={name: (str(layout), str(sha256)) for name, (layout, sha256) in plain["archives"].items()},
            layers=dict(map(report_from, plain["layers"])) if plain["reader"] == READER else {},
        )
    except (OSError, FormatError, KeyError, TypeError, ValueError, AttributeError):
        return Delivered(target=target)


def write_delivered(
    store: Store, before: Delivered, spec: Digest, bundle: WrittenBundle, report: "BundleReport"
) -> None:
    """Notes what now lies in the target of `before`: what `bundle` wrote there and `report` found in it."""
    document: dict[str, Any] = {
        "spec": str(spec),
        "target": str(before.target.absolute()),
        "files": _stamps(before.target),
        "archives": {
            path: [str(layout_identity(layout)), str(sha256)] for path, (layout, sha256) in bundle.archives.items()
        },
        "layers": [report_to(layer) for layer in _layers(before, bundle, report)],
        "reader": READER,
    }
    path = _note_path(store, before.target)
    make_folders(path.parent)
    write_atomic(path, jsontext.encode_canonical(document))


def _layers(before: Delivered, bundle: WrittenBundle, report: "BundleReport") -> Iterator[LayerReport]:
    """The reports of all framed layers of the bundle, from this reading or from one before."""
    images = [image for archive in report.archives for image in archive.images]
    known = {**before.layers, **{layer.digest: layer for image in images for layer in image.layers}}
    framed = {blob.digest for archive in bundle.document.archives for blob in archive.blobs if blob.frames}
    return (known[digest] for digest in sorted(framed) if digest in known)


def report_to(layer: LayerReport) -> list[Any]:
    """What a full reading found in a layer, as JSON values."""
    frames = [list(frame) for frame in layer.frames or ()]
    return [str(layer.digest), layer.size, str(layer.diff_id), layer.media_type, layer.content_size, frames]


def report_from(plain: Any) -> tuple[Digest, LayerReport]:
    """The inverse of `report_to`, with the layer's digest; raises FormatError, TypeError or ValueError."""
    digest, size, diff_id, media_type, content_size, frames = plain
    report = LayerReport(
        digest=Digest.parse(digest),
        size=int(size),
        diff_id=Digest.parse(diff_id),
        media_type=str(media_type),
        content_size=int(content_size),
        frames=tuple((int(compressed), int(content)) for compressed, content in frames),
    )
    return report.digest, report


def layout_identity(layout: SealedLayout) -> Digest:
    """All that decides an archive's bytes, as one digest. Pure."""
    entries = [
        [entry.name, entry.offset, entry.size, str(entry.digest or Digest.of(entry.content or b""))]
        for entry in layout.entries
    ]
    return Digest.of(jsontext.encode_canonical({"mtime": layout.mtime, "size": layout.size, "entries": entries}))


def _note_path(store: Store, target: Path) -> Path:
    return store.root / "bundles" / f"{Digest.of(os.fsencode(target.absolute())).hex}.json"


def _stamps(folder: Path) -> dict[str, Stamp]:
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if not path.is_dir()}
    return {name: stamp(path) for name, path in files.items() if not is_signature(name)}


def stamp(path: Path) -> Stamp:
    """What changes when somebody touches a file; raises OSError."""
    info = path.lstat()
    return [info.st_size, info.st_mtime_ns, info.st_ino, info.st_mode]
