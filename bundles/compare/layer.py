"""Two layers that should be the same: the first paths in them that are not, and their first bytes."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bundles.compare.model import MOST, first_difference
from bundles.errors import FormatError, printable
from bundles.extraction.model import Limits
from bundles.foreign.layer import opener_for
from bundles.foreign.model import OpenableLayer
from bundles.foreign.tarreader import Member, StreamSource, TarReader
from bundles.region import Region
from bundles.sealed.read import SealedLayer

_LIMITS: Final = Limits()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredLayer:
    """A layer in an archive: `region` is the archive."""

    region: Region
    layer: SealedLayer

    @property
    def stored(self) -> Region:
        """Its bytes as they are stored."""
        entry = self.layer.entry
        return self.region.part(entry.offset, entry.size, f"{self.region.where}: {entry.name}")


def layer_differences(ours: StoredLayer, theirs: StoredLayer) -> Iterator[tuple[str, str]]:
    """Paths in the layers and how they differ, in words; at least one, "" for the layer as a whole."""
    if ours.layer.diff_id == theirs.layer.diff_id:
        parted = first_difference(_bytes(ours.stored), _bytes(theirs.stored))
        yield "", f"the same content, compressed otherwise; {parted or 'stored the same'}"
        return
    try:
        one, two = _members(ours), _members(theirs)
    except FormatError as exc:
        yield "", f"cannot be read: {exc.message}"
        return
    found = 0
    for name in sorted(one.keys() | two.keys()):
        if (what := _how(name, one.get(name), two.get(name), ours, theirs)) and found < MOST:
            found += 1
            yield printable(name) or "/", what
    if not found:
        yield "", f"the same files, in other headers; {_tar_difference(ours, theirs)}"


_Seen = tuple[Member, str]


def _how(name: str, one: _Seen | None, two: _Seen | None, ours: StoredLayer, theirs: StoredLayer) -> str:
    if one is None or two is None:
        return "only theirs has it" if one is None else "only ours has it"
    (a, a_digest), (b, b_digest) = one, two
    for what, mine, other in (
        ("kind", a.kind, b.kind),
        ("mode", f"{a.mode:04o}", f"{b.mode:04o}"),
        ("target", a.target, b.target),
    ):
        if mine != other:
            return f"{what}: ours {printable(mine)}, theirs {printable(other)}"
    if a_digest == b_digest:
        return ""
    with _body(ours, name) as mine_bytes, _body(theirs, name) as other_bytes:
        return f"content ({a.size} and {b.size} bytes), {first_difference(mine_bytes, other_bytes)}"


def _members(stored: StoredLayer) -> dict[str, _Seen]:
    """Name -> the member, and the digest of its body."""
    found = {}
    with opened_tar(stored) as reader:
        for member in reader:
            body = hashlib.sha256()
            for piece in reader.body():
                body.update(piece)
            found[member.name] = (member, body.hexdigest())
    return found


@contextlib.contextmanager
def _body(stored: StoredLayer, name: str) -> Iterator[Iterator[bytes | memoryview]]:
    with opened_tar(stored) as reader:
        for member in reader:
            if member.name == name:
                yield reader.body()
                return


@contextlib.contextmanager
def opened_tar(stored: StoredLayer) -> Iterator[TarReader]:
    """A layer's members; digest, size and diff id hold when the iteration came to its end."""
    with _content(stored) as pieces:
        where = stored.stored.where
        yield TarReader(StreamSource(pieces, where), where, max_members=_LIMITS.members, leading_dot=False)


def _tar_difference(ours: StoredLayer, theirs: StoredLayer) -> str:
    with _content(ours) as one, _content(theirs) as two:
        return first_difference(one, two)


@contextlib.contextmanager
def _content(stored: StoredLayer) -> Iterator[Iterator[bytes]]:
    region = stored.stored
    layer = OpenableLayer(
        diff_id=stored.layer.diff_id,
        digest=stored.layer.digest,
        size=region.size,
        where=region.where,
        opener=opener_for(region),
    )
    with layer.open(max_content=_LIMITS.content) as pieces:
        yield pieces


def _bytes(region: Region) -> Iterator[bytes]:
    return region.chunks(0, region.size)
