"""Two builds of one file that differ: where, in words. Which sections of a program, members of a tar, lines of a text.

Bounded: what differs everywhere is told by its first bytes and a count that stops. Pure.
"""

import re
from collections.abc import Iterator, Mapping

from builder.facts.innerdiff import tar_rows, text_rows

_CHUNK = 1 << 14  # bytes that are compared at once
_COUNTED = 1 << 20  # differing bytes after which nobody counts on
_SHOWN = 24  # bytes
_TEXT = re.compile(rb"[ -~]{4,}")
_MOST = 12  # rows


def explain(one: bytes, two: bytes) -> list[str]:
    """The first and the second build of a file -> rows that say how they differ; empty when they do not."""
    if one == two:
        return []
    a, b = sections(one), sections(two)
    rows = list(_sections(a, b)) if a and b else [*tar_rows(one, two), *text_rows(one, two)]
    if not rows:
        rows = [_pair("all of it" if len(one) == len(two) else "another size", one, two, 0)]
    return rows[:_MOST] + ([f"and {len(rows) - _MOST} more"] if len(rows) > _MOST else [])


def sections(content: bytes) -> Mapping[str, tuple[int, bytes]]:
    """A program's sections: name -> offset in the file, and bytes; empty for a file that is none."""
    if not content.startswith(b"\x7fELF"):
        return {}
    from builder.facts.elfread import read_sections  # pyelftools, only where there is a program to look at

    return read_sections(content)


def _sections(ones: Mapping[str, tuple[int, bytes]], twos: Mapping[str, tuple[int, bytes]]) -> Iterator[str]:
    for name in dict.fromkeys((*ones, *twos)):
        if name not in ones or name not in twos:
            yield f"{name}: only the {'first' if name in ones else 'second'} has this section"
        elif ones[name][1] != twos[name][1]:
            yield _pair(name, ones[name][1], twos[name][1], ones[name][0])


def _pair(name: str, one: bytes, two: bytes, offset: int) -> str:
    """One row: how many bytes, where the first of them is, and what stands there."""
    at, count = differing(one, two)
    sizes = f"{len(one)} bytes, then {len(two)}" if len(one) != len(two) else f"{_count(count)} of {len(one)} bytes"
    return f"{name}: {sizes}, first at {offset + at:#x}: {_shown(one, at)} / {_shown(two, at)}"


def differing(one: bytes, two: bytes) -> tuple[int, int]:
    """Two byte strings -> offset of the first difference, and how many of their common bytes differ (at most 1 MiB)."""
    first, count = -1, 0
    common = min(len(one), len(two))
    for start in range(0, common, _CHUNK):
        a, b = one[start : start + _CHUNK][: common - start], two[start : start + _CHUNK][: common - start]
        if a == b:
            continue
        places = [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
        first = start + places[0] if first < 0 else first
        count += len(places)
        if count >= _COUNTED:
            break
    return (first if first >= 0 else common), count


def _count(count: int) -> str:
    return str(count) if count < _COUNTED else f"more than {_COUNTED}"


def _shown(content: bytes, at: int) -> str:
    """What stands there: the text around it where there is one, else the bytes."""
    start = max(0, at - _SHOWN)
    for found in _TEXT.finditer(content, start, at + _SHOWN):
        if found.start() <= at < found.end():
            return repr(found[0].decode())
    return content[at : at + 8].hex(" ") or "its end"
