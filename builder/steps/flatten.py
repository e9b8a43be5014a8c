"""Files out of the layers of an image, as a node would see them: whiteouts honoured, everything else passed over.

Only the paths that are asked for, and the folders above them, matter; nothing of an image is written under a name of
its own. A path that leads through a link is refused: which file it means is decided by whoever follows it.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundles.errors import FormatError, LimitError, MissingError
from bundles.extraction.changes import OPAQUE, WHITEOUT
from bundles.files import os_errors
from bundles.foreign.model import OpenableLayer
from bundles.foreign.tarreader import Member, StreamSource, TarReader

MAX_MEMBERS: Final = 500_000  # of all layers
MAX_CONTENT: Final = 32 << 30  # bytes of one uncompressed layer


@dataclass(frozen=True, kw_only=True, slots=True)
class Flat:
    """A wanted file: where its bytes lie now, its mode (octal) in the image."""

    path: Path
    mode: int


@dataclass(slots=True)
class _Layer:
    """What one layer says of what is wanted: hidden paths, emptied folders, entries with the file of a body."""

    hidden: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)
    entries: dict[str, tuple[Member, Path | None]] = field(default_factory=dict)


def flatten(layers: Sequence[OpenableLayer], wanted: Collection[str], folder: Path, where: str) -> dict[str, Flat]:
    """Layers, lowest first, and paths without a leading `/` -> the files, their bytes below `folder`.

    Every layer is read to its end, so that its digest and diff id are checked. Raises MissingError for a path that is
    not there; FormatError for links and folders in its place, damaged layers and wrong digests; LimitError.
    """
    interesting = {above for path in wanted for above in _with_parents(path)}
    state: dict[str, tuple[Member, Path | None]] = {}
    left = MAX_MEMBERS
    for number, layer in enumerate(layers):
        with layer.open(max_content=MAX_CONTENT) as pieces:
            found, seen = _read(pieces, layer.where, interesting, set(wanted), folder / f"layer-{number}", left)
        left -= seen
        _apply(state, found, where)
    return {path: _chosen(state, path, where) for path in wanted}


def _read(
    pieces: Iterator[bytes], where: str, interesting: set[str], wanted: set[str], folder: Path, left: int
) -> tuple[_Layer, int]:
    layer, seen = _Layer(), set[str]()
    reader = TarReader(StreamSource(pieces, where), where, max_members=max(left, 1), leading_dot=True)
    with os_errors(folder):
        folder.mkdir()
    for member in reader:
        if member.name in seen:
            raise FormatError("one name twice in a layer", where=where, got=member.name[:200])
        seen.add(member.name)
        if len(seen) > left:
            raise LimitError("too many members", where=where, want=f"<= {MAX_MEMBERS}")
        parent, _, name = member.name.rpartition("/")
        if name == OPAQUE:
            layer.emptied.add(parent)
        elif name.startswith(WHITEOUT):
            layer.hidden.add(f"{parent}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
        elif member.name in interesting:
            body = folder / str(len(layer.entries)) if member.kind == "file" and member.name in wanted else None
            if body is not None:
                _write(reader, body)
            layer.entries[member.name] = (member, body)
    return layer, len(seen)


def _write(reader: TarReader, path: Path) -> None:
    with os_errors(path), path.open("xb") as file:
        for piece in reader.body():
            file.write(piece)


def _apply(state: dict[str, tuple[Member, Path | None]], layer: _Layer, where: str) -> None:
    """Whiteouts hide what lower layers have, never what their own layer brings (OCI image spec, layer.md)."""
    for path in list(state):
        lineage = _with_parents(path)
        if not layer.hidden.isdisjoint(lineage) or not layer.emptied.isdisjoint(("", *lineage[:-1])):
            del state[path]
    for path, entry in sorted(layer.entries.items()):
        for above in _with_parents(path)[:-1]:
            if above in state and state[above][0].kind != "dir":
                raise FormatError("an entry below what is no folder", where=where, got=_told(path, above, state))
        if entry[0].kind != "dir":
            for below in [known for known in state if known.startswith(f"{path}/")]:
                del state[below]
        state[path] = entry


def _chosen(state: dict[str, tuple[Member, Path | None]], path: str, where: str) -> Flat:
    for above in _with_parents(path)[:-1]:
        if above in state and state[above][0].kind != "dir":
            hint = "name the file by its own path"
            raise FormatError("the path leads through a link", where=where, got=_told(path, above, state), hint=hint)
    if path not in state:
        raise MissingError("not in the image", where=where, got=f"/{path}")
    member, body = state[path]
    if body is None:
        hint = f"name the file itself: {member.target}" if member.target else ""
        what = "a folder" if member.kind == "dir" else f"a {member.kind}"
        raise FormatError(f"{what}, not a file", where=where, got=f"/{path}", hint=hint)
    return Flat(path=body, mode=member.mode)


def _told(path: str, above: str, state: dict[str, tuple[Member, Path | None]]) -> str:
    target = state[above][0].target
    return f"/{path}: /{above}" + (f" -> {target[:200]}" if target else " is a file")


def _with_parents(path: str) -> list[str]:
    """`a/b/c` -> a, a/b, a/b/c."""
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
