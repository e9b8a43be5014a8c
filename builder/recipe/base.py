"""A recipe with a base: `base: ../rke2-v1.34` takes the entries of another recipe and replaces whole ones of them.

Entries are the keys on top of each of the four files; nothing deeper is merged. What the result does not use of the
base is left out of it. Files that recipes name are looked for in the derived folder, then in the base's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from builder.recipe.document import Document

KEY: Final = "base"
_ALONE: Final = "a base stands for itself: it has none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """The recipe that another one names: as it names it, its folder, its files; `wrong` (message, hint): why not."""

    text: str
    folder: Path
    files: Mapping[str, bytes] = field(default_factory=dict)
    wrong: tuple[str, str] | None = None


def named(bundle: Document) -> str | None:
    """The base that a bundle.yaml names; None when it names none that could be looked for."""
    text = bundle.values.get(KEY) if isinstance(bundle.values, dict) else None
    return text if isinstance(text, str) else None


def says_base(bundle: Document) -> bool:
    """Whether there is the key at all, right or wrong: other files may then be missing."""
    return isinstance(bundle.values, dict) and KEY in bundle.values


def inherit(own: Document, base: Document) -> Document:
    """A document of a derived recipe and the base's of the same name -> both as one; its own entries win.

    Problems of both are kept, each with its own file's name. Nothing is known when one of the two is hopeless.
    """
    found = Document(name=own.name, problems=[*base.problems, *own.problems])
    if own.values is None or base.values is None:
        found.lines = dict(own.lines)
        return found
    found.values = {**base.values, **own.values}
    found.inherited = {key: base.name for key in base.values if key not in own.values}
    found.lines = {path: line for path, line in base.lines.items() if path[:1] and path[0] in found.inherited}
    found.lines.update(own.lines)
    return found


def refuse_chain(bundle: Document) -> None:
    """Adds a problem when a base's own bundle.yaml names a base: one level, so that no loop is possible."""
    if says_base(bundle):
        bundle.problem((KEY,), _ALONE, "name that recipe as the base, and write out what differs")
