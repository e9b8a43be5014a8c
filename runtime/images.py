"""agent/images: which archives are linked in, which are taken out, and which belong to somebody else.

A name here is ours when its file is one of a kept bundle's (a hard link: same device and inode), or when the admitted
bundle lists it. Anything else the operator put there, and it is never touched.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from bundles.errors import SealiftError
from bundles.files import fsync_directory, os_errors
from runtime.folders import link_through
from runtime.layout import NodeLayout


@dataclass(frozen=True, slots=True)
class FileId:
    """What makes two names one file: `st_dev` and `st_ino`."""

    device: int
    inode: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagesPlan:
    """Names in agent/images: `link` to make or replace, `retire` to unlink; both sorted."""

    link: tuple[str, ...]
    retire: tuple[str, ...]


def plan_images(
    *,
    wanted: Mapping[str, FileId],
    present: Mapping[str, FileId],
    kept: Collection[FileId],
    admitted: Collection[str],
    where: object = "agent/images",
) -> ImagesPlan:
    """Decides what changes in agent/images.

    Args:
        wanted: archives of the bundle to admit, by name.
        present: regular files in agent/images.
        kept: archives of all kept bundles: also a run that was killed before it wrote its record left links of these.
        admitted: names that the current record lists.
        where: names the folder in an error.

    Raises SealiftError when a wanted name is taken by somebody else's file.
    """

    def is_ours(name: str) -> bool:
        return present[name] in kept or name in admitted

    link = tuple(sorted(name for name, file in wanted.items() if present.get(name) != file))
    if taken := [name for name in link if name in present and not is_ours(name)]:
        raise SealiftError(
            "somebody else's files have the names of this bundle's archives",
            where=where,
            got=", ".join(taken),
            hint="move them to another folder and run the same command again",
        )
    retire = tuple(sorted(name for name in present if name not in wanted and is_ours(name)))
    return ImagesPlan(link=link, retire=retire)


def apply_images(plan: ImagesPlan, sources: Mapping[str, Path], layout: NodeLayout) -> None:
    """Links first, unlinks after: at every moment the node has the images of one bundle or of both."""
    for name in plan.link:
        link_through(sources[name], layout.images / name, layout.ours)
    with os_errors(layout.images):
        for name in plan.retire:
            (layout.images / name).unlink(missing_ok=True)
        if plan.retire:
            fsync_directory(layout.images)


def file_id(path: Path) -> FileId:
    """The identity of the file at `path`; a symlink's own."""
    with os_errors(path):
        status = path.lstat()
    return FileId(status.st_dev, status.st_ino)


def present_files(folder: Path) -> dict[str, FileId]:
    """Regular files directly in `folder`, by name; nothing when there is no such folder."""
    if not folder.is_dir():
        return {}
    with os_errors(folder):
        return {entry.name: file_id(entry) for entry in folder.iterdir() if entry.is_file() and not entry.is_symlink()}
