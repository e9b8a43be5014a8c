"""Kinds of values in a YAML document: one table says what a key takes; the reader (`document`), the JSON schema and the
reference page are walks over it.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

MAX_DIGITS = 15  # of a whole number: every JSON and YAML reader keeps these exactly
MAX_NUMBER = 10**MAX_DIGITS - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text that matches `pattern` as a whole; `what` names it in messages, `parse` may raise a SealiftError."""

    what: str
    pattern: str = r"[^\x00-\x1f\x7f]+"
    example: str = ""
    parse: Callable[[str], object] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Flag:
    """`true` or `false`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A decimal whole number within bounds."""

    least: int = 0
    most: int = MAX_NUMBER


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of some words, which may stand without quotes whatever YAML readers think of them (`off`)."""

    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Items:
    """A list."""

    of: "Kind"
    least: int = 0
    unique: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A mapping with names of the user's choice."""

    key: Text
    value: "Kind"
    least: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemsOrTable:
    """A list of names, or a mapping of them."""

    items: Items
    table: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Anything:
    """Values for somebody else (a chart): texts, whole numbers, true, false, null, lists and mappings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A key of a record; `default` is shown in the reference; `later` says that a coming version will know the key."""

    kind: "Kind"
    doc: str
    required: bool = False
    default: str = ""
    later: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A mapping with known keys; where the key `lender` stands, only the keys `always` are still required."""

    doc: str
    fields: Mapping[str, Field]
    lender: str = ""
    always: tuple[str, ...] = ()

    def required(self, found: Collection[str]) -> list[str]:
        """The keys that a mapping with these keys must have."""
        if self.lender and self.lender in found:
            return list(self.always)
        return [name for name, field in self.fields.items() if field.required]


@dataclass(frozen=True, kw_only=True, slots=True)
class OneOf:
    """A record whose kind is said by the one key of `kinds` that it has; `later` names kinds of coming versions."""

    doc: str
    kinds: Mapping[str, Record]
    later: tuple[str, ...] = ()


Kind = Text | Flag | Number | Choice | Items | Table | ItemsOrTable | Anything | Record | OneOf
