"""The YAML edge: text -> nodes with positions, strictly.

Only what every reader understands alike passes: one document, mappings with unique plain keys, sequences, scalars. No
anchors, aliases, tags, merge keys, nothing that YAML 1.1 and 1.2 read differently (see `surprise`). Built from parser
events with its own stack, because composing recurses in C without a bound. Every problem is collected, with its line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from bundles.errors import Problem

MAX_SIZE = 4 << 20  # bytes; a lock of 400 components stays below 1 MiB
MAX_DEPTH = 16
MAX_NODES = 200_000  # of one document; a lock of 400 components has a tenth
MAX_PROBLEMS = 100  # kept of one document
MAX_SHOWN = 60  # characters of a user's text in a message
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(
    r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(:[0-5]?[0-9])*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"
    r"|\.[0-9][0-9_]*([eE][-+]?[0-9]+)?|\.(inf|Inf|INF)|\.(nan|NaN|NAN))"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?")
_NUMERIC = frozenset("+-.0123456789")  # what numbers and dates begin with
_WORDS = {
    **dict.fromkeys(("y", "yes", "n", "no", "on", "off", "true", "false"), "a truth value"),
    **dict.fromkeys(("", "~", "null"), "nothing"),
    "=": "a default value",
    "<<": "a merge key",
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A word or text; `plain` when it stood without quotes. `line` counts from 1."""

    text: str
    plain: bool
    line: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    items: tuple["Node", ...]
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys (unique) and their nodes, in the order of the document."""

    entries: tuple[tuple[Scalar, "Node"], ...]
    line: int


Node = Scalar | Sequence | Mapping


def surprise(text: str) -> str:
    """What some YAML reader takes a plain scalar for when it is not simply text; "" when all agree on text."""
    if (word := _WORDS.get(text.lower())) is not None:
        return word
    if text[:1] not in _NUMERIC:
        return ""
    if _DATE.fullmatch(text):
        return "a date"
    if _NUMBER.fullmatch(text):
        return "a number"
    return ""


def shown(text: str) -> str:
    """A user's text, quoted and shortened, for a message."""
    return repr(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "...")


def word(text: str) -> str:
    """A user's key for a message: shortened, and nothing in it that a terminal would obey."""
    short = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
    return short if short.isprintable() else repr(short)


def parse_nodes(data: bytes, name: str) -> tuple[Node | None, list[Problem]]:
    """The bytes of a document and its name for messages -> its root node and all problems found.

    The node is None when the text is not YAML at all, or too big or deep to look at. Raises nothing.
    """
    if len(data) > MAX_SIZE:
        return None, [Problem(where=name, message=f"larger than {MAX_SIZE >> 20} MiB")]
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return None, [
            Problem(where=f"{name}:1", message="begins with a byte order mark", hint="save it as plain UTF-8")
        ]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        return None, [Problem(where=f"{name}:{line}", message="not UTF-8")]
    builder = _Builder(name)
    try:
        node = builder.document(yaml.parse(text, Loader=_LOADER))
    except _TooMuchError as exc:
        builder.problem(exc.line, exc.message)
        return None, builder.problems
    except yaml.YAMLError as exc:
        builder.problems.append(_syntax_problem(exc, name))
        return None, builder.problems
    return node, builder.problems


class _TooMuchError(Exception):
    """Stops the walk at a line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line, self.message = line, message


class _Builder:
    """Nodes from events; recursion is bounded by MAX_DEPTH."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.nodes = 0

    def problem(self, line: int, message: str, hint: str = "", key: str = "") -> None:
        if len(self.problems) > MAX_PROBLEMS:
            return  # whoever wrote a million aliases wants the memory, not the messages
        where = f"{self.name}:{line}" + (f":{word(key)}" if key else "")
        self.problems.append(Problem(where=where, message=message, hint=hint))

    def document(self, events: Iterator[Any]) -> Node | None:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                line = _line(event)
                self._refuse_directives(event, line)
                node = self._node(next(events), events, 1)
                if root is not None:
                    self.problem(line, "a second document", "one file holds one document: remove the ---")
                root = root or node
        return root

    def _refuse_directives(self, event: Any, line: int) -> None:
        if event.version or event.tags:
            self.problem(line, "a % directive", "remove it")

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        line = event.start_mark.line + 1
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise _TooMuchError(line, f"nested deeper than {MAX_DEPTH} levels")
        if self.nodes > MAX_NODES:
            raise _TooMuchError(line, f"more than {MAX_NODES} values")
        if type(event) is yaml.ScalarEvent and event.anchor is None and event.tag is None:  # most are
            return Scalar(event.value, event.style is None or event.style == "", line)
        if isinstance(event, yaml.AliasEvent):
            self.problem(line, f"an alias, *{event.anchor}", "write the value out")
            return Scalar("", False, line)
        if event.anchor is not None:
            self.problem(line, f"an anchor, &{event.anchor}", "there are no aliases here: remove it")
        if event.tag is not None:
            self.problem(line, f"a tag, {shown(event.tag)}", "remove it; quote the value when it is text")
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, event.style is None or event.style == "", line)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(tuple(self._items(events, depth)), line)
        return Mapping(tuple(self._entries(events, depth)), line)

    def _items(self, events: Iterator[Any], depth: int) -> Iterator[Node]:
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            yield self._node(event, events, depth + 1)

    def _entries(self, events: Iterator[Any], depth: int) -> Iterator[tuple[Scalar, Node]]:
        first: dict[str, int] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key, Scalar):
                self.problem(key.line, "a key must be a word", "{ } and [ ] cannot be keys")
            elif key.text in first:
                self.problem(key.line, f"the key stands twice, first in line {first[key.text]}", key=key.text)
            else:
                first[key.text] = key.line
                self._check_key(key)
                yield key, value

    def _check_key(self, key: Scalar) -> None:
        if key.plain and key.text == "<<":
            self.problem(key.line, "a merge key", "write the entries out", key="<<")
        elif key.plain and (what := surprise(key.text)):
            self.problem(key.line, f"some YAML readers take this key for {what}", f'write "{key.text}"', key=key.text)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _syntax_problem(exc: yaml.YAMLError, name: str) -> Problem:
    mark: Any = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    text = getattr(exc, "problem", None) or getattr(exc, "reason", None) or str(exc)
    where = f"{name}:{mark.line + 1}" if mark else name
    return Problem(where=where, message=f"not YAML: {text}", hint="indent with blanks, quote texts with : or # in them")
