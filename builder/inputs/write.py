"""Writes an input archive: files first, each verified before it has its name, then the index that names them.

A folder that holds other releases gets what it lacks. What stands there is believed only after it was hashed, so an
interrupted run, or one over a damaged medium, is mended by the same command. After every single write `sha256sum -c`
finds nothing wrong: the list of checksums leaves the index out while the index changes.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from builder.inputs.archive import file_digest, open_archive, open_regular
from builder.inputs.gather import Gathered, Part
from builder.inputs.model import INDEX, README, SUMS, Index, Input, InputFile, Release, recipe_path
from builder.inputs.readme import readme_text
from builder.inputs.text import format_index, format_sums
from builder.inputs.ziphash import zip_hash
from builder.process import Cancel
from builder.sources.verified import Verified
from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.files import atomic_writer, make_folders, os_errors, remove_abandoned, write_atomic

_CHUNK: Final = 1 << 20
_TOGETHER: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a run did: the release, its files and their bytes, and how many of them were new."""

    release: Release
    files: int
    size: int
    new_files: int
    new_size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where to: a folder; `verified` remembers what was hashed, `say` is progress, `jobs` files are written at once."""

    folder: Path
    verified: Verified
    say: Callable[[str], None] = lambda _: None
    cancel: Cancel = field(default_factory=Cancel)
    jobs: int = _TOGETHER


def write_inputs(bundle: str, lock: Digest, recipe: bytes, gathered: Sequence[Gathered], target: Target) -> Written:
    """The inputs of one release (`recipe` is its tar) into `target.folder`; what other releases have there stays.

    Raises FormatError when what is there is no input archive, or has other content under the same name; SealiftError
    for disks.
    """
    make_folders(target.folder)
    old = _start(target.folder)
    inputs, new = place(gathered, target, old.inputs)
    digest = Digest.of(recipe)
    part = Part(path=recipe_path(bundle, lock), origin=recipe, digest=digest)
    (placed,), more = place([Gathered(source="recipe", parts=(part,))], target, {})
    tar, new = placed.files[0], [*new, *more]
    release = Release(bundle=bundle, lock=lock, recipe=tar, inputs=tuple(sorted(each.source for each in inputs)))
    index = Index(inputs=old.inputs | {each.source: each for each in inputs}, releases=old.releases | {lock: release})
    _finish(target.folder, index)
    files = {file for each in inputs for file in each.files} | {tar}
    return Written(
        release=release,
        files=len(files),
        size=sum(file.size for file in files),
        new_files=len(new),
        new_size=sum(file.size for file in new),
    )


def place(
    gathered: Sequence[Gathered], target: Target, known: Mapping[str, Input]
) -> tuple[list[Input], list[InputFile]]:
    """Brings the files of inputs to their places below `target.folder` -> the inputs, and those files that are new.

    Raises FormatError where `known` has another content under the same name.
    """
    writer = _Writer(target)
    with ThreadPoolExecutor(target.jobs) as pool:
        try:
            inputs = list(pool.map(lambda each: _write_one(writer, known, each), gathered))
        except BaseException:
            target.cancel.cancel()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return inputs, writer.new


def _start(folder: Path) -> Index:
    """What the folder has: an index, nothing, or leftovers of a run that did not come to its index."""
    remove_abandoned(folder)
    if os.path.lexists(folder / INDEX):
        return open_archive(folder).index
    with os_errors(folder):
        strange = sorted({path.name for path in folder.iterdir()} - _OURS)
    if strange:
        hint = "choose an empty folder, or one that an earlier fetch wrote"
        raise FormatError("not an input archive", where=folder, got=", ".join(strange[:8]), hint=hint)
    return Index()


_OURS: Final = {"go", "debian", "blobs", "recipes", README, SUMS}


def _write_one(writer: "_Writer", known: Mapping[str, Input], each: Gathered) -> Input:
    writer.target.cancel.check()
    found = known.get(each.source)
    if found is not None and found.h1 != each.h1:
        hint = "two contents under one version: find out why, and use another folder until you know"
        where = writer.target.folder
        raise FormatError(f"the archive has another {each.source}", where=where, got=found.h1, want=each.h1, hint=hint)
    files = tuple(sorted(writer.ensure(part, each.h1) for part in each.parts))
    return Input(source=each.source, files=files, h1=each.h1)


class _Writer:
    """Brings files to their places."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.new: list[InputFile] = []

    def ensure(self, part: Part, h1: str) -> InputFile:
        """A file in its place, whole; raises FormatError when its origin is not what it must be."""
        path = self.target.folder / part.path
        _refuse_links(self.target.folder, part.path)
        found = self._there(path, part, h1)
        if found is None:
            found = self._write(path, part, h1)
            self.new.append(found)
        return found

    def _there(self, path: Path, part: Part, h1: str) -> InputFile | None:
        """The file that stands there already, when it is what it must be."""
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                digest = file_digest(file, size, path)
        except SealiftError:
            return None
        # Another proxy may have packed the same module into other bytes: those stay.
        whole = digest == self._wanted(part, h1) or (part.digest is None and _is_zip(path, h1))
        return InputFile(path=part.path, size=size, digest=digest) if whole else None

    def _wanted(self, part: Part, h1: str) -> Digest:
        """What a part must be; a zip of the store was held against its module's hash, now or before."""
        if part.digest is not None:
            return part.digest
        if isinstance(part.origin, bytes):
            return Digest.of(part.origin)
        verified = self.target.verified
        key = f"zip {part.path}"
        if not verified.holds(key, h1):
            if (got := zip_hash(part.origin)) != h1:
                hint = "remove it: the next fetch brings it anew"
                raise FormatError("not the module that is locked", where=part.origin, got=got, want=h1, hint=hint)
            verified.note(key, h1, [part.origin])
        with os_errors(part.origin), part.origin.open("rb") as file:
            return Digest(hashlib.file_digest(file, "sha256").hexdigest())

    def _write(self, path: Path, part: Part, h1: str) -> InputFile:
        make_folders(path.parent)
        remove_abandoned(path.parent, path.name)
        if isinstance(part.origin, bytes):
            write_atomic(path, part.origin)
            return InputFile(path=part.path, size=len(part.origin), digest=Digest.of(part.origin))
        want = self._wanted(part, h1)
        with os_errors(part.origin), part.origin.open("rb") as origin, atomic_writer(path) as writer:
            while chunk := origin.read(_CHUNK):
                writer.write(chunk)
            if writer.digest != want:
                hint = "run the same command again; if it stays, remove the file: the next fetch brings it anew"
                raise FormatError("damaged in the store", where=part.origin, got=writer.digest, want=want, hint=hint)
        return InputFile(path=part.path, size=writer.size, digest=writer.digest)


def _is_zip(path: Path, h1: str) -> bool:
    try:
        return zip_hash(path) == h1
    except SealiftError:
        return False


def _refuse_links(folder: Path, below: str) -> None:
    """Nobody's link in a carried folder may lead our writing elsewhere."""
    path = folder
    for step in below.split("/"):
        path = path / step
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        except OSError as exc:
            raise SealiftError(exc.strerror or str(exc), where=path) from exc
        last = path == folder / below
        if not (stat.S_ISREG(mode) if last else stat.S_ISDIR(mode)):
            raise FormatError("something else in the place of an archive's file or folder", where=path)


def _finish(folder: Path, index: Index) -> None:
    """README, checksums, index; nothing is written that is there already."""
    files = list(index.files().values())
    files.append(_kept(folder, README, readme_text()))
    document = format_index(index)
    last = InputFile(path=INDEX, size=len(document), digest=Digest.of(document))
    if _holds(folder / INDEX, document):
        _kept(folder, SUMS, format_sums([*files, last]))
        return
    _kept(folder, SUMS, format_sums(files))
    write_atomic(folder / INDEX, document)
    _kept(folder, SUMS, format_sums([*files, last]))


def _kept(folder: Path, name: str, data: bytes) -> InputFile:
    if not _holds(folder / name, data):
        _refuse_links(folder, name)
        write_atomic(folder / name, data)
    return InputFile(path=name, size=len(data), digest=Digest.of(data))


def _holds(path: Path, data: bytes) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(len(data) + 1) == data
    except SealiftError:
        return False
