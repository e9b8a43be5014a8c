"""What is not the same in two bundles, and where the first bytes of two streams part. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

SHOWN: Final = 8  # bytes of each side
MOST: Final = 20  # differences told of one file: the first ones say why, the rest follows from them


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One: `where` is the file and what is in it, `what` in words.

    `builder`: only what the two builders say of themselves differs (sandbox, tools), nothing that a node gets.
    """

    where: str
    what: str
    builder: bool = False

    def __str__(self) -> str:
        """One line."""
        return f"{self.where}: {self.what}"


def first_difference(ours: Iterable[bytes | memoryview], theirs: Iterable[bytes | memoryview]) -> str:
    """Two streams -> offset and bytes where they part, in words; empty when they are the same."""
    one, two = _filled(ours), _filled(theirs)
    at, a, b = 0, b"", b""
    while True:
        a, b = a or next(one, b""), b or next(two, b"")
        count = min(len(a), len(b))
        if not count or a[:count] != b[:count]:
            break
        at, a, b = at + count, a[count:], b[count:]
    if not a and not b:
        return ""
    same = next((i for i in range(count) if a[i] != b[i]), count)
    return f"byte {at + same}: ours {_hex(a[same:])}, theirs {_hex(b[same:])}"


def _filled(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    return (bytes(piece) for piece in pieces if len(piece))


def _hex(data: bytes) -> str:
    return data[:SHOWN].hex(" ") if data else "ends"
