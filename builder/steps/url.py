"""Files from URLs: the file itself, or members of the archive that it is. Its bytes are the locked ones."""

import functools
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from builder.describe.licences import MAX_TEXT, combined, is_licence_file, recognised
from builder.errors import StepError
from builder.lock.model import LockedFile, LockedInput
from builder.plan.model import Receipt, Step
from builder.recipe.fetched import UrlComponent, last_part
from builder.steps.context import Job, StepContext
from builder.steps.packed import Packed, packed
from builder.steps.takenfiles import Taken, keep_taken
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.files import os_errors
from bundles.platform import Platform

VERSION: Final = 1
_LICENCE_DEPTH: Final = 2  # components of a path: LICENSE, tool-1.2.3/LICENSE


def describe(component: UrlComponent, locked: LockedInput, platform: Platform) -> Job:
    """Component and its locked file -> its job. Pure."""
    size = sum(file.size for file in locked.files)
    step = Step(
        name=f"component {component.name}",
        kind="url",
        version=VERSION,
        description={
            "digest": str(locked.files[0].digest),
            # The packing is told by the name; where it lies decides no byte.
            "name": last_part(component.url) if component.files else component.kept,
            "take": {name: str(path) for name, path in component.files.items()},
            "mode": component.mode,
            "static": component.static,
            "platform": str(platform),
        },
        seconds=1 + size // 50_000_000,
        size=3 * size,
    )
    return Job(step=step, run=functools.partial(_run, component, locked))


def _run(component: UrlComponent, locked: LockedInput, context: StepContext) -> Receipt:
    file = checked_blob(context.store, locked.files[0])
    if not component.files:
        taken = {component.kept: Taken(path=file, mode=component.mode)}
    else:
        taken = take(file, last_part(component.url), component.files, context.folder)
    return keep_taken(context, taken, component.name, static=component.static)


def take(file: Path, name: str, wanted: Mapping[str, PurePosixPath], folder: Path) -> dict[str, Taken]:
    """Members of the archive `file` (called `name`), file name -> path in it, written below `folder`.

    The whole archive is read, so that all of it is judged. Raises FormatError, LimitError, MissingError.
    """
    places = {str(path): output for output, path in wanted.items()}
    found: dict[str, Taken] = {}
    there: list[str] = []
    with packed(file, name) as members:
        for number, one in enumerate(members):
            path = one.member.name
            if path in places:
                found[places[path]] = _write(one, folder / f"member-{number}", name)
            elif one.member.kind == "file" and len(there) < 1000:
                there.append(path)
    if missing := sorted(path for path, output in places.items() if output not in found):
        same = {PurePosixPath(path).name for path in missing}
        near = sorted(path for path in there if PurePosixPath(path).name in same) or sorted(there)
        raise MissingError("not in the archive", where=name, got=", ".join(missing), hint=f"it holds {_some(near)}")
    return found


def _write(one: Packed, target: Path, name: str) -> Taken:
    if one.member.kind != "file":
        what = "a folder" if one.member.kind == "dir" else "a link"
        hint = f"name the file itself: {one.member.target}" if one.member.target else ""
        raise FormatError(f"{what}, not a file", where=name, got=one.member.name, hint=hint)
    with os_errors(target), target.open("wb") as file:
        for piece in one.body():
            file.write(piece)
    mode = one.member.mode
    return Taken(path=target, mode=None if not mode else 0o755 if mode & 0o111 else 0o644)


def unpack(file: Path, name: str, target: Path) -> None:
    """A whole archive as a folder; a single folder at its top is taken off. Files are 0644 or 0755, links stay inside.

    `target` must not exist. Raises FormatError, LimitError; what was written before an error lies below `target`.
    """
    target.mkdir()
    with packed(file, name) as members, os_errors(target):
        for one in members:
            _place(one, target)
    with os_errors(target):
        below = list(target.iterdir())
        if len(below) == 1 and below[0].is_dir() and not below[0].is_symlink():
            inner = target.with_name(f"{target.name}.top")
            below[0].rename(inner)
            target.rmdir()
            inner.rename(target)


def _place(one: Packed, target: Path) -> None:
    """One member below `target`; nothing of it is below a link, or there already (steps.packed)."""
    path = target / one.member.name
    if one.member.kind == "dir":
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if one.member.kind == "symlink":
        path.symlink_to(one.member.target)
    elif one.member.kind == "hardlink":
        shutil.copyfile(target / one.member.target, path)
        shutil.copymode(target / one.member.target, path)
    else:
        with path.open("xb") as file:
            for piece in one.body():
                file.write(piece)
        path.chmod(0o755 if one.member.mode & 0o111 else 0o644)


def checked_blob(store: Store, file: LockedFile) -> Path:
    """A locked file in the store, once its bytes are known to be right: what rotted on disk is not taken."""
    if not store.has(file.digest):
        raise MissingError("not in the store", where=file.name, hint="run `sealift build` again")
    with open(store.path(file.digest), "rb") as blob:
        found = Digest(hashlib.file_digest(blob, "sha256").hexdigest())
    if found != file.digest:
        raise FormatError("damaged in the store", where=store.path(file.digest), got=found, want=file.digest)
    return store.path(file.digest)


def licence(url: str, locked: LockedInput, store: Store) -> str:
    """The licence files at an archive's top -> one expression; "" for none, and for what is no archive."""
    texts = []
    name = last_part(url)
    try:
        with packed(checked_blob(store, locked.files[0]), name) as members:
            for one in members:
                path = PurePosixPath(one.member.name)
                if one.member.kind == "file" and len(path.parts) <= _LICENCE_DEPTH and is_licence_file(path.name):
                    texts.append(_text(one))
    except FormatError as exc:
        raise StepError(f"cannot look for licences: {exc.message}", where=name) from exc
    return combined(recognised(text) for text in texts)


def _text(one: Packed) -> str:
    data = b""
    for piece in one.body():
        data += bytes(piece[: MAX_TEXT + 1 - len(data)])
    return data.decode("utf-8", "replace")


def _some(paths: list[str]) -> str:
    return ", ".join(paths[:10]) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "") if paths else "no file"
