"""Extracts directories of an image: layers flattened, every digest checked before a file gets its name."""

import contextlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from bundles.crew import Crew, Seat
from bundles.errors import FormatError
from bundles.extraction.changes import Changes, LayerReader
from bundles.extraction.model import ExtractedFile, ExtractedLink, ExtractReport, Limits
from bundles.extraction.spent import Spent
from bundles.extraction.spool import BodySpool, body_spool, empty_folder
from bundles.extraction.tree import File, Folder, Link, Tree, leads
from bundles.files import os_errors
from bundles.foreign.model import FoundImage, OpenableLayer
from bundles.framed import MAX_RATIO, RATIO_FLOOR
from bundles.platform import Platform

DEFAULT_LIMITS: Final = Limits()
PROGRAMS: Final = "bin"  # the directory that must not be empty and whose ELF files must be of the platform
_ELF: Final = b"\x7fELF"
_CLASS64_LITTLE: Final = b"\x02\x01"


def extract_image(
    found: FoundImage, destinations: Mapping[str, Path], *, limits: Limits = DEFAULT_LIMITS
) -> ExtractReport:
    """Writes directories of the image, e.g. `{"/bin": staging / "bin", "/charts": staging / "charts"}`.

    Each destination must not exist or be an empty directory; its parent must exist, all on one filesystem. All of
    them exist afterwards with mode 0755, also where the image has nothing for one (nothing below /bin is an error).
    Files get `mode & 0755` (0 becomes 0755), directories 0755; no owners, times or extended attributes. Only large
    files are flushed: the caller syncs and renames. Files get their names after every layer's digest and diff id was
    right; after an error there are at most empty directories.

    Raises FormatError for damage and hostile layers, LimitError, UsageError for a destination that is not empty,
    SealiftError for what the filesystem refuses.
    """
    roots = {key.removeprefix("/"): path for key, path in destinations.items()}
    if not roots or any(not name or "/" in name or name in (".", "..") for name in roots):
        raise ValueError(f"destinations are top-level directories of the image: {sorted(destinations)}")
    tree = Tree(frozenset(roots))
    with contextlib.ExitStack() as stack:
        folders = {name: stack.enter_context(empty_folder(path)) for name, path in sorted(roots.items())}
        spool = stack.enter_context(body_spool(next(iter(roots.values()))))
        ignored = _read_layers(found, tree, spool, limits)
        report = _report(tree, sorted(roots), ignored, found)
        _place(tree, folders, roots, spool)
    return report


def _read_layers(found: FoundImage, tree: Tree, spool: BodySpool, limits: Limits) -> int:
    """All layers beside each other, then applied from the lowest up; returns the number of members passed over."""
    spent = Spent(_within_ratio(limits, found), str(found.archive))
    reader = LayerReader(tree.roots, limits, spent, spool)

    def read(layer: OpenableLayer, seat: Seat) -> Changes:
        with (
            layer.open(max_content=limits.content) as pieces,
            contextlib.closing(seat.ahead(pieces)) as beside,
        ):
            return reader.read(_while_useful(spent.passing(beside), seat), layer.where)

    changes = Crew(read, lambda layer: layer.size).all(found.layers)
    for number, (layer, change) in enumerate(zip(found.layers, changes, strict=True)):
        try:
            change.apply(tree, number)
        except FormatError as exc:
            raise FormatError(exc.message, where=f"{layer.where}: {exc.where}", got=exc.got) from exc
    return sum(change.ignored for change in changes)


def _within_ratio(limits: Limits, found: FoundImage) -> Limits:
    """The ratio counts for the image too: one small layer that is named five hundred times is stored once."""
    stored = sum({layer.where: layer.size for layer in found.layers}.values())
    return replace(limits, content=min(limits.content, max(RATIO_FLOOR, MAX_RATIO * stored)))


def _while_useful(pieces: Iterator[bytes], seat: Seat) -> Iterator[bytes]:
    for piece in pieces:
        seat.go_on()
        yield piece


def _place(tree: Tree, folders: Mapping[str, int], roots: Mapping[str, Path], spool: BodySpool) -> None:
    with os_errors("the extraction's temporary directory"):
        spool.settle()
    for name, fd in folders.items():
        with os_errors(roots[name]):
            spool.place(tree.root(name), fd)


def _report(tree: Tree, roots: list[str], ignored: int, found: FoundImage) -> ExtractReport:
    """Walks the finished tree and checks what only the whole can show: links, programs, a /bin that is not empty."""
    files: list[ExtractedFile] = []
    links: list[ExtractedLink] = []
    for name in roots:
        root = tree.root(name)
        for path, node in _walk(root, ()):
            shown = "/".join(("", name, *path))
            if isinstance(node, Link):
                if not leads(root, path, node.target):
                    raise FormatError(f"link that leaves /{name}", where=found.archive, got=f"{shown} -> {node.target}")
                links.append(ExtractedLink(path=shown, target=node.target))
            else:
                if name == PROGRAMS:
                    _check_program(node, shown, found.platform, found.archive)
                files.append(ExtractedFile(path=shown, digest=node.digest, size=node.size, mode=node.mode))
        if name == PROGRAMS and next(_walk(root, ()), None) is None:
            raise FormatError("the image has no /bin", where=found.archive, got=found.reference)
    return ExtractReport(files=tuple(sorted(files)), links=tuple(sorted(links)), ignored=ignored)


def _walk(folder: Folder, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], File | Link]]:
    for name, node in folder.children.items():
        if isinstance(node, Folder):
            yield from _walk(node, (*above, name))
        else:
            yield (*above, name), node


def _check_program(file: File, path: str, platform: Platform, archive: Path) -> None:
    """An ELF file must be of the platform; scripts and data may be there too (ELF specification, header)."""
    if not file.head.startswith(_ELF) or platform.elf_machine is None:
        return
    machine = struct.unpack_from("<H", file.head, 18)[0] if len(file.head) >= 20 else None
    if file.head[4:6] != _CLASS64_LITTLE or machine != platform.elf_machine:
        raise FormatError(
            "program for another machine", where=f"{archive}: {path}", got=f"ELF machine {machine}", want=platform
        )
