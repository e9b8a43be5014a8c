"""The list beside collected sources: of each shipped thing whether its source is there, and why. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bundles import jsontext

_HEAD: Final = """\
Sources of {name}
{line}

For each thing that this bundle ships: whether its licence asks for the source to be passed on, why, and where it is
in this folder. `sha256sum -c SHA256SUMS` checks the folder. Go modules are zips (go/PATH/@v/VERSION.zip), Debian
sources are unpacked with `dpkg-source -x`, the recipe's tar says how all of it is built. A rule, no legal advice.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One shipped thing: its key in the bill, licence, whether and why its source is asked for, paths of its files."""

    what: str
    licence: str
    asked: bool
    why: str
    files: tuple[str, ...]


def list_document(name: str, rows: Sequence[Row]) -> bytes:
    """Rows -> sources.json, canonical."""
    things = [
        {"asked": row.asked, "files": list(row.files), "licence": row.licence, "what": row.what, "why": row.why}
        for row in rows
    ]
    return jsontext.encode_canonical({"sealift-sources": 1, "bundle": name, "things": things})


def list_text(name: str, rows: Sequence[Row]) -> bytes:
    """Rows -> SOURCES.txt, for people: what is missing first."""
    title = f"Sources of {name}"
    parts = [_HEAD.format(name=name, line="=" * len(title))]
    missing = [row for row in rows if row.asked and not row.files]
    there = [row for row in rows if row.files]
    free = [row for row in rows if not row.asked]
    for heading, group in (("Asked for, NOT here", missing), ("Here", there), ("Not asked for", free)):
        parts.append(f"\n{heading}: {len(group)}\n\n")
        parts += [_line(row) for row in group]
    return "".join(parts).encode()


def _line(row: Row) -> str:
    files = "".join(f"      {path}\n" for path in row.files)
    return f"  {row.what}\n      {row.why}\n{files}"
