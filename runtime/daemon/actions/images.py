"""The stages `archives` and `images`: which archives are right, and what containerd has of them afterwards."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Final

from bundles import choices, index
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.files import os_errors
from bundles.foreign import outer
from bundles.foreign.catalogue import open_archive
from bundles.foreign.find import read_images
from bundles.index import INDEX_NAME, BundleIndex
from runtime import admitted
from runtime.daemon.archives import (
    Expected,
    Present,
    Problem,
    Stamp,
    StoredImage,
    expected_archives,
    is_stamped,
    missing_images,
    plan_pins,
    sort_files,
)
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.daemon.stamps import read_stamps, write_stamps
from runtime.folders import ensure_folder
from runtime.layout import NodeLayout

_PIECE: Final = 1 << 20
_AT_ONCE: Final = 4


def admitted_index(layout: NodeLayout) -> BundleIndex | None:
    """The index of the admitted bundle, None when nothing was admitted.

    Raises FormatError when the kept bundle is not the admitted one.
    """
    record = admitted.read(layout.admitted)
    if record is None:
        return None
    path = layout.bundles / record.bundle / INDEX_NAME
    with os_errors(path), path.open("rb") as file:
        data = file.read(index.MAX_INDEX + 1)
    if Digest.of(data) != record.index:
        hint = "stage the bundle again"
        raise FormatError(
            "not the index that was admitted", where=path, got=Digest.of(data), want=record.index, hint=hint
        )
    return index.decode(data, where=path)


def offered_words(layout: NodeLayout) -> list[str]:
    """What the admitted bundle lets a node choose, in words; nothing while none is admitted, or it cannot be read."""
    with contextlib.suppress(SealiftError):
        if (found := admitted_index(layout)) is not None:
            return choices.words(choices.offered(found))
    return []


async def check_archives(node: Node, control: Control) -> str:
    """Sorts what lies in agent/images and hashes what has to be imported."""
    document = await asyncio.to_thread(admitted_index, node.layout)
    expected = expected_archives(document) if document else ()
    ensure_folder(node.layout.images)
    sorting = sort_files(
        present_archives(node.layout.images), expected, read_stamps(node.layout), allow_unlisted=node.allow_unlisted
    )
    problems = {problem.name: problem.why for problem in sorting.refused}
    for archive in sorting.check:
        control.told(f"checking {archive.name}")
        if (problem := await asyncio.to_thread(damage, node.layout.images / archive.name, archive)) is not None:
            problems[problem.name] = problem.why
    node.found.archives = sorting
    node.found.problems.update(problems)
    for name, why in sorted(problems.items()):
        node.say(f"warning: not imported: {name}: {why}")
    good = len(sorting.check) + len(sorting.known) - sum(a.name in problems for a in sorting.check)
    return f"{good} to have" + (f", {len(problems)} not imported: {', '.join(sorted(problems))}" if problems else "")


async def import_images(node: Node, control: Control) -> str:
    """Brings containerd to have exactly what the good archives hold, pinned and under all its names."""
    sorting = node.found.archives
    if sorting is None:
        raise SealiftError("the archives were not checked")
    stored = await node.ctr.images()
    stamps = {stamp.name: stamp for stamp in read_stamps(node.layout)}
    kept = [a for a in sorting.known if not missing_images(a.images, stored)]
    again = [a for a in sorting.known if missing_images(a.images, stored)]
    for archive in again:  # its stamp says imported, containerd says no: from here on nothing is taken on trust
        if (problem := await asyncio.to_thread(damage, node.layout.images / archive.name, archive)) is not None:
            node.found.problems[archive.name] = problem.why
            node.say(f"warning: not imported: {archive.name}: {problem.why}")
    todo = [a for a in (*sorting.check, *again) if a.name not in node.found.problems]
    fresh = {a.name: stamps[a.name] for a in kept}
    for expected in todo:
        control.told(f"importing {expected.name}")
        before = present_file(node.layout.images, node.layout.images / expected.name)
        try:
            await node.ctr.import_archive(node.layout.images / expected.name, expected.sha256)
        except FormatError as exc:
            node.found.problems[expected.name] = str(exc)
            node.say(f"warning: not imported: {exc}")
            continue
        stored = await node.ctr.images()
        if missing := missing_images(expected.images, stored):
            node.found.problems[expected.name] = f"imported, but containerd does not have {', '.join(missing)}"
            node.say(f"warning: {expected.name}: {node.found.problems[expected.name]}")
            continue
        digests = {image.name: image.digest for image in stored}
        images = {name: digests[name] for name in expected.images}
        fresh[expected.name] = _stamp(before, expected.sha256, images)
    for file in sorting.unlisted:
        stamp = await _import_unlisted(node, control, file, stamps.get(file.name), stored)
        if stamp is not None:
            fresh[file.name] = stamp
    write_stamps(node.layout, tuple(fresh.values()))
    wanted = {name for stamp in fresh.values() for name in stamp.images}
    await _pin(node, wanted)
    passed = len(kept)
    return f"{len(wanted)} images of {len(fresh)} archives" + (f", {passed} archives unchanged" if passed else "")


async def _import_unlisted(
    node: Node, control: Control, file: Present, stamp: Stamp | None, stored: Iterable[StoredImage]
) -> Stamp | None:
    """An archive that nobody admitted; its own words are all there is. A bad one is named and left out."""
    path = node.layout.images / file.name
    if stamp is not None and is_stamped(file, None, stamp):
        expected = {name: (digest,) for name, digest in stamp.images.items()}
        if not missing_images(expected, stored):
            return stamp
    control.told(f"importing {file.name}, which no bundle lists")
    try:
        names = await asyncio.to_thread(_names_of, path)
        await node.ctr.import_archive(path)
    except SealiftError as exc:
        node.found.problems[file.name] = str(exc)
        node.say(f"warning: not imported: {exc}")
        return None
    node.say(f"imported {file.name}, which no bundle lists")
    digests = {image.name: image.digest for image in await node.ctr.images()}
    return _stamp(file, None, {name: digests[name] for name in names if name in digests})


def _names_of(path: Path) -> set[str]:
    with open_archive(path) as archive:
        return {name for image in read_images(archive) for name in image.names}


def _stamp(file: Present, sha256: Digest | None, images: dict[str, Digest]) -> Stamp:
    return Stamp(name=file.name, size=file.size, mtime=file.mtime, inode=file.inode, sha256=sha256, images=images)


async def _pin(node: Node, wanted: set[str]) -> None:
    plan = plan_pins(wanted, await node.ctr.images(), node.config.registry)
    await _together([node.ctr.pin(name) for name in plan.pin])  # first: new names take over the labels
    await _together([node.ctr.tag(name, names) for name, names in plan.tag])
    await _together([node.ctr.unpin(name) for name in plan.unpin])


async def _together(works: list[Awaitable[None]]) -> None:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(work: Awaitable[None]) -> None:
        async with gate:
            await work

    await asyncio.gather(*map(one, works))


def damage(path: Path, expected: Expected) -> Problem | None:
    """Reads a whole archive and compares its sha256."""
    found = hashlib.sha256()
    with os_errors(path), path.open("rb", buffering=0) as file:
        while data := file.read(_PIECE):
            found.update(data)
    if found.hexdigest() == expected.sha256.hex:
        return None
    return Problem(name=expected.name, why=f"damaged: sha256:{found.hexdigest()}, not {expected.sha256}")


def present_archives(folder: Path) -> list[Present]:
    """All archives below agent/images, hidden ones too (RKE2's watcher imports those); symlinks are followed."""
    found = []
    with os_errors(folder):
        for path, _, names in os.walk(folder):
            found += [present_file(folder, Path(path, name)) for name in names if outer.compression(name) is not None]
    return found


def present_file(folder: Path, path: Path) -> Present:
    """One of them."""
    with os_errors(path):
        try:
            status = path.stat()
        except FileNotFoundError:
            status = path.lstat()  # a link to nothing: it has the wrong size, and is named for that
    name = path.relative_to(folder).as_posix()
    return Present(name=name, size=status.st_size, mtime=status.st_mtime_ns, inode=status.st_ino)
