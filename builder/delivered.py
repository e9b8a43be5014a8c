"""What was delivered where: a note in the store for each bundle's folder, with the stamp of every file in it.

A file whose size, mtime, inode and mode are still those of its note was not touched since it was written and verified.
So a bundle that has not changed is not built again, and an archive that has not changed is taken into the folder that
replaces it by a hard link: not written, not read. `sealift verify` reads everything, always.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.assemble import ArchivePlan
from builder.store import Store
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import make_folders, write_atomic
from bundles.sealed.layout import SealedLayout
from bundles.sealed.write import WrittenArchive
from bundles.signing.names import is_signature

Stamp = list[int]  # size in bytes, mtime in nanoseconds, inode, mode


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """The note of one folder: the identity of what was delivered, a stamp for each file below it (signatures apart),
    and for each archive the identity of its layout and its sha256. Empty for a folder that we know nothing of."""

    target: Path
    spec: str = ""
    files: Mapping[str, Stamp] = field(default_factory=dict)
    archives: Mapping[str, tuple[str, str]] = field(default_factory=dict)

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
            if _stamp(folder / plan.path) == self.files.get(plan.path):
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
        found = Delivered(
            target=target,
            spec=plain["spec"],
            files=plain["files"],
            archives={name: (str(layout), str(sha256)) for name, (layout, sha256) in plain["archives"].items()},
        )
    except (OSError, FormatError, KeyError, TypeError, ValueError, AttributeError):
        return Delivered(target=target)
    return found if plain.get("target") == str(target.absolute()) else Delivered(target=target)


def write_delivered(
    store: Store, target: Path, spec: Digest, archives: Mapping[str, tuple[SealedLayout, Digest]]
) -> None:
    """Notes what now lies in `target`; `archives`: layout and sha256 by path."""
    document: dict[str, Any] = {
        "spec": str(spec),
        "target": str(target.absolute()),
        "files": _stamps(target),
        "archives": {path: [str(layout_identity(layout)), str(sha256)] for path, (layout, sha256) in archives.items()},
    }
    path = _note_path(store, target)
    make_folders(path.parent)
    write_atomic(path, jsontext.encode_canonical(document))


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
    return {name: _stamp(path) for name, path in files.items() if not is_signature(name)}


def _stamp(path: Path) -> Stamp:
    info = path.lstat()
    return [info.st_size, info.st_mtime_ns, info.st_ino, info.st_mode]
