"""One layer -> what it changes below the wanted directories; bodies go to the spool as they pass.

Everything is collected before anything is applied: whiteouts hide what lower layers have, never what their own layer
brings (layer.md, "Whiteouts"), whatever the order of entries.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from bundles.errors import FormatError, LimitError
from bundles.extraction.model import Limits
from bundles.extraction.spent import Spent
from bundles.extraction.tree import File, Link, Tree
from bundles.foreign.tarreader import Member, StreamSource, TarReader

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
_MAX_TARGET: Final = 1024  # characters of a symbolic link's target


class Spool(Protocol):
    """Where bodies wait until the tree is whole."""

    def store(self, pieces: Iterable[bytes | memoryview], size: int, mode: int) -> File:
        """Keeps one body of `size` bytes with its `mode` on disk."""
        ...


@dataclass(slots=True)
class Changes:
    """A layer's whiteouts, opaque directories and additions, below the wanted directories; `ignored` lay outside."""

    hidden: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    added: list[tuple[Member, File | None]] = field(default_factory=list)
    ignored: int = 0

    def apply(self, tree: Tree, layer: int) -> None:
        """Changes the tree; raises FormatError for entries that fit nowhere."""
        for path in self.hidden:
            tree.hide(path)
        for path in self.emptied:
            tree.empty(path)
        for member, file in self.added:
            if file is not None:
                tree.add(member.name, file, layer)
            elif member.kind == "dir":
                tree.add_folder(member.name, layer)
            elif member.kind == "symlink":
                tree.add(member.name, Link(member.target), layer)
            else:
                tree.hard_link(member.name, member.target, layer)


class LayerReader:
    """Reads the layers of one image, also several at once."""

    def __init__(self, roots: frozenset[str], limits: Limits, spent: Spent, spool: Spool) -> None:
        """`roots` are the wanted top-level names, `spent` what all layers together have cost so far."""
        self._roots, self._limits, self._spent, self._spool = roots, limits, spent, spool

    def read(self, pieces: Iterator[bytes], where: str) -> Changes:
        """One uncompressed layer -> its changes; reads to the very end, so that digests are checked.

        Raises FormatError for damaged or hostile entries, LimitError.
        """
        changes = Changes()
        seen: set[str] = set()
        reader = TarReader(StreamSource(pieces, where), where, max_members=self._limits.members, leading_dot=True)
        for member in reader:
            self._spent.member()
            if member.name in seen:
                raise FormatError("one name twice in a layer", where=where, got=member.name)
            seen.add(member.name)
            self._sort(member, reader, changes, where)
        return changes

    def _sort(self, member: Member, reader: TarReader, changes: Changes, where: str) -> None:
        parent, _, name = member.name.rpartition("/")
        if name.startswith(WHITEOUT):
            self._whiteout(member, parent, name, changes, where)
        elif member.name.partition("/")[0] not in self._roots:
            changes.ignored += 1
        else:
            _refuse_odd(member, self._limits.depth, where)
            file = None
            if member.kind == "file":
                file = self._spool.store(reader.body(), member.size, disk_mode(member.mode))
            changes.added.append((member, file))

    def _whiteout(self, member: Member, parent: str, name: str, changes: Changes, where: str) -> None:
        hidden = name.removeprefix(WHITEOUT)
        top = (parent or hidden).partition("/")[0]
        if hidden in ("", ".", ".."):
            raise FormatError("whiteout that climbs", where=where, got=member.name)
        if name != OPAQUE and top not in self._roots:
            changes.ignored += 1
        elif member.kind != "file" or member.size or (name.startswith(".wh..wh.") and name != OPAQUE):
            raise FormatError("malformed whiteout", where=where, got=member.name)
        elif name == OPAQUE:
            if not parent or top in self._roots:
                changes.emptied.append(parent)
        else:
            changes.hidden.append(f"{parent}/{hidden}" if parent else hidden)


def disk_mode(mode: int) -> int:
    """RKE2's rule: `mode & 0755`, and 0755 where nothing is left; no setuid, no group or world write."""
    return mode & 0o755 or 0o755


def _refuse_odd(member: Member, depth: int, where: str) -> None:
    """Raises for entries that have no place below a wanted directory."""
    got = member.name[:200]
    if member.kind == "special":
        raise FormatError("device or FIFO", where=where, got=got)
    parts = member.name.split("/")
    if len(parts) > depth:
        raise LimitError("directories nested too deeply", where=where, got=got, want=f"<= {depth}")
    if any(part.startswith(WHITEOUT) for part in parts):
        raise FormatError("entry below a whiteout", where=where, got=got)
    if member.kind == "symlink" and len(member.target) > _MAX_TARGET:
        raise LimitError("link target too long", where=where, got=got, want=f"<= {_MAX_TARGET}")
