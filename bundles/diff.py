"""What differs between two bundles, and how many bytes of the new one are new to whoever has the old one.

Only the two indexes are read. A layer that changed is compared frame by frame where both indexes list frames: a frame
that depends on nothing but its content has the same compressed and content size at the same place in a run of frames;
sizes alone are a hint, so bytes counted that way are called an estimate.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bundles.index import Blob, BundleIndex
from bundles.inspect import read_index
from bundles.talk import human_bytes


def diff(old: Path, new: Path) -> dict[str, Any]:
    """Two bundles (folders or `.sealift` files) -> JSON-able differences; see `compare`."""
    return compare(read_index(old), read_index(new))


def compare(old: BundleIndex, new: BundleIndex) -> dict[str, Any]:
    """Two indexes -> `same`, `images`, `charts`, `files` (added, removed, changed) and `carry` (bytes)."""
    parts = {
        "images": (
            {image.reference: str(image.digest) for image in old.images},
            {image.reference: str(image.digest) for image in new.images},
        ),
        "charts": (
            {chart.name: f"{chart.version} {chart.sha256}" for chart in old.charts},
            {chart.name: f"{chart.version} {chart.sha256}" for chart in new.charts},
        ),
        "files": (
            {file.path: str(file.sha256) for file in old.files},
            {file.path: str(file.sha256) for file in new.files},
        ),
    }
    changes = {name: _changes(before, after) for name, (before, after) in parts.items()}
    return {
        "old": f"{old.name} {old.version}",
        "new": f"{new.name} {new.version}",
        "same": old == new,
        **changes,
        "carry": _carry(old, new),
    }


def render(found: Mapping[str, Any]) -> str:
    """Differences -> lines to read."""
    if found["same"]:
        return f"{found['old']}: the same bundle"
    lines = [f"{found['old']} -> {found['new']}"]
    for kind in ("images", "charts", "files"):
        change = found[kind]
        lines += [f"  + {kind[:-1]} {name}" for name in change["added"]]
        lines += [f"  - {kind[:-1]} {name}" for name in change["removed"]]
        lines += [f"  ~ {kind[:-1]} {name}: {row['old']} -> {row['new']}" for name, row in change["changed"].items()]
    carry = found["carry"]
    lines.append(
        f"  blobs: {human_bytes(carry['shared_bytes'])} shared, {human_bytes(carry['new_bytes'])} new"
        f" (about {human_bytes(carry['new_frame_bytes'])} counted by frames)"
    )
    return "\n".join(lines)


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Any]:
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": {
            name: {"old": old[name], "new": new[name]} for name in sorted(old) if new.get(name, old[name]) != old[name]
        },
    }


def _carry(old: BundleIndex, new: BundleIndex) -> dict[str, int]:
    before, after = _blobs(old), _blobs(new)
    shared = sum(blob.size for digest, blob in after.items() if digest in before)
    missing = [blob for digest, blob in after.items() if digest not in before]
    known = Counter(frame for blob in before.values() for frame in blob.frames or ())
    frame_bytes = 0
    for blob in missing:
        framed = sum(size for size, _ in blob.frames or ())
        frame_bytes += blob.size - framed
        for frame in blob.frames or ():
            if known[frame]:
                known[frame] -= 1
            else:
                frame_bytes += frame[0]
    return {
        "shared_bytes": shared,
        "new_bytes": sum(blob.size for blob in missing),
        "new_frame_bytes": frame_bytes,
    }


def _blobs(document: BundleIndex) -> dict[str, Blob]:
    return {str(blob.digest): blob for archive in document.archives for blob in archive.blobs}
