"""Reading a document by its kind: nodes -> plain values, every problem collected with file:line:key.

`read` never raises. A value that had a problem becomes None, so that one mistake is told once.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from builder.recipe import yamlnodes
from builder.recipe.kinds import (
    MAX_DIGITS,
    MAX_NUMBER,
    Anything,
    Choice,
    Flag,
    Items,
    ItemsOrTable,
    Kind,
    Number,
    OneOf,
    Record,
    Table,
    Text,
)
from builder.recipe.yamlnodes import Node, Scalar, Sequence, shown, surprise, word
from bundles.errors import Problem, SealiftError

MAX_TEXT = 4096  # characters of one value
MAX_WORD = 200
MAX_PROBLEMS = 100  # of one document: nobody reads more, and looking for near words takes time
_MISSING = "the key is missing"
Path = tuple[str, ...]


@dataclass(slots=True)
class Document:
    """A read document: plain `values` (None when hopeless), the line of every path, and what is wrong.

    `inherited` maps keys that another document gave (builder.recipe.base) to its name.
    """

    name: str
    values: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    inherited: dict[str, str] = field(default_factory=dict)

    def where(self, *path: str) -> str:
        """`file:line:key.key` of a path; of its nearest known ancestor when the path itself is not there."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        name = self.inherited.get(known[0], self.name) if known else self.name
        return f"{name}:{line}" + (f":{'.'.join(map(word, path))}" if path else "")

    def leave_out(self, name: str) -> bool:
        """Removes an inherited entry that nothing uses; False, and it stays, when this recipe wrote it itself."""
        if name not in self.inherited:
            return False
        del self.values[name]
        return True

    def problem(self, path: Path, message: str, hint: str = "") -> None:
        """Adds a problem at a path; after MAX_PROBLEMS one more line says that there are more."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(where=self.where(*path), message=message, hint=hint))
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append(Problem(where=self.where(*path), message="and more problems from here on"))


def read(data: bytes, name: str, kind: Kind) -> Document:
    """A document's bytes, its name for messages, what it must be -> the document. Raises nothing."""
    root, problems = yamlnodes.parse_nodes(data, name)
    document = Document(name=name, problems=problems[:MAX_PROBLEMS])
    if root is None:
        if not problems:
            document.problem((), "the file is empty")
        return document
    document.values = _read(document, (), root, kind)
    return document


def near(word: str, known: Mapping[str, object] | tuple[str, ...] | list[str]) -> str:
    """A hint that names the known word nearest to a wrong one, or all of them."""
    words = sorted(known)
    if len(word) > MAX_WORD:
        return ""
    if close := difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6):
        return f"did you mean {close[0]}?"
    return "known here: " + (", ".join(words) or "nothing")


def _read(doc: Document, path: Path, node: Node, kind: Kind) -> Any:
    doc.lines.setdefault(path, node.line)
    match kind:
        case Text():
            return _text(doc, path, node, kind)
        case Flag():
            return _flag(doc, path, node)
        case Number():
            return _number(doc, path, node, kind)
        case Choice():
            return _choice(doc, path, node, kind)
        case Items():
            return _items(doc, path, node, kind)
        case Table():
            return _table(doc, path, node, kind)
        case ItemsOrTable():
            return _read(doc, path, node, kind.items if isinstance(node, Sequence) else kind.table)
        case Anything():
            return _anything(doc, path, node)
        case Record():
            return _record(doc, path, node, kind)
        case OneOf():
            return _one_of(doc, path, node, kind)


def _scalar(doc: Document, path: Path, node: Node, want: str) -> Scalar | None:
    if isinstance(node, Scalar):
        return node
    doc.problem(path, f"want {want}, got {'a list' if isinstance(node, Sequence) else 'a mapping'}")
    return None


def _text(doc: Document, path: Path, node: Node, kind: Text) -> str | None:
    if (scalar := _scalar(doc, path, node, kind.what)) is None:
        return None
    text = scalar.text
    if scalar.plain and (what := surprise(text)):
        hint = f'write "{text}"' if what != "nothing" else f"write {kind.what}"
        doc.problem(path, f"want {kind.what}; some YAML readers take {text or 'an empty value'} for {what}", hint)
        return None
    return text if _check_text(doc, path, text, kind) else None


def _check_text(doc: Document, path: Path, text: str, kind: Text) -> bool:
    hint = f"for example {kind.example}" if kind.example else ""
    if len(text) > MAX_TEXT:
        doc.problem(path, f"longer than {MAX_TEXT} characters")
    elif not re.fullmatch(kind.pattern, text):
        doc.problem(path, f"want {kind.what}, got {shown(text)}", hint)
    else:
        try:
            if kind.parse is not None:
                kind.parse(text)
        except SealiftError as exc:
            doc.problem(path, f"want {kind.what}, got {shown(text)}: {exc.message}", hint)
        else:
            return True
    return False


def _flag(doc: Document, path: Path, node: Node) -> bool | None:
    scalar = _scalar(doc, path, node, "true or false")
    if scalar is None:
        return None
    if not scalar.plain or scalar.text not in ("true", "false"):
        doc.problem(path, f"want true or false, got {shown(scalar.text)}", "in lower case, without quotes")
        return None
    return scalar.text == "true"


def _number(doc: Document, path: Path, node: Node, kind: Number) -> int | None:
    want = f"a whole number from {kind.least}" + (f" to {kind.most}" if kind.most < MAX_NUMBER else "")
    scalar = _scalar(doc, path, node, want)
    if scalar is None:
        return None
    if not scalar.plain or not re.fullmatch(rf"0|[1-9][0-9]{{0,{MAX_DIGITS - 1}}}", scalar.text, re.ASCII):
        doc.problem(path, f"want {want}, got {shown(scalar.text)}", "decimal digits, no leading 0, no quotes")
    elif not kind.least <= int(scalar.text) <= kind.most:
        doc.problem(path, f"want {want}, got {scalar.text}")
    else:
        return int(scalar.text)
    return None


def _choice(doc: Document, path: Path, node: Node, kind: Choice) -> str | None:
    scalar = _scalar(doc, path, node, "one of " + ", ".join(kind.words))
    if scalar is None or scalar.text in kind.words:
        return scalar.text if scalar else None
    doc.problem(path, f"want one of {', '.join(kind.words)}, got {shown(scalar.text)}", near(scalar.text, kind.words))
    return None


def _items(doc: Document, path: Path, node: Node, kind: Items) -> list[Any] | None:
    if not isinstance(node, Sequence):
        doc.problem(path, "want a list", "write [one, two] or one `- item` per line")
        return None
    values = [_read(doc, (*path, str(number)), item, kind.of) for number, item in enumerate(node.items)]
    if len(values) < kind.least:
        doc.problem(path, "an empty list" if not values else f"want at least {kind.least} items")
    if kind.unique:
        _refuse_twice(doc, path, values)
    return values


def _refuse_twice(doc: Document, path: Path, values: list[Any]) -> None:
    seen: set[str] = set()
    for number, value in enumerate(values):
        if isinstance(value, str):
            if value in seen:
                doc.problem((*path, str(number)), f"{shown(value)} stands twice in the list")
            seen.add(value)


def _mapping(doc: Document, path: Path, node: Node) -> yamlnodes.Mapping | None:
    if isinstance(node, yamlnodes.Mapping):
        for key, _ in node.entries:
            doc.lines[(*path, key.text)] = key.line
        return node
    doc.problem(path, "want a mapping", "write `key: value` lines, indented with blanks")
    return None


def _table(doc: Document, path: Path, node: Node, kind: Table) -> dict[str, Any] | None:
    if (mapping := _mapping(doc, path, node)) is None:
        return None
    if len(mapping.entries) < kind.least:
        doc.problem(path, "an empty mapping")
    values = {}
    for key, child in mapping.entries:
        good = _check_text(doc, (*path, key.text), key.text, kind.key)
        value = _read(doc, (*path, key.text), child, kind.value)
        if good:
            values[key.text] = value
    return values


def _record(doc: Document, path: Path, node: Node, kind: Record) -> dict[str, Any] | None:
    if (mapping := _mapping(doc, path, node)) is None:
        return None
    values = {}
    for key, child in mapping.entries:
        spec = kind.fields.get(key.text)
        if spec is None:
            hint = near(key.text, kind.fields) if len(doc.problems) < MAX_PROBLEMS else ""
            doc.problem((*path, key.text), "unknown key", hint)
        elif spec.later:
            doc.problem((*path, key.text), f"this version does not know {key.text} yet", f"leave it out: {spec.doc}")
        else:
            values[key.text] = _read(doc, (*path, key.text), child, spec.kind)
    found = {key.text for key, _ in mapping.entries}
    for name in kind.required(found):
        if name not in found:
            doc.problem((*path, name), _MISSING, kind.fields[name].doc)
    return values


def _one_of(doc: Document, path: Path, node: Node, kind: OneOf) -> dict[str, Any] | None:
    if (mapping := _mapping(doc, path, node)) is None:
        return None
    keys = [key.text for key, _ in mapping.entries]
    found = [key for key in keys if key in kind.kinds]
    words = ", ".join(kind.kinds)
    if later := [key for key in keys if key in kind.later]:
        doc.problem((*path, later[0]), f"this version does not know the kind {later[0]} yet", f"use one of {words}")
    elif not found:
        guess = next((hint for key in keys[:20] if "mean" in (hint := near(key, kind.kinds))), "")
        doc.problem(path, f"no key says the kind: want one of {words}", guess)
    elif len(found) > 1:
        doc.problem((*path, found[1]), f"two kinds at once, {found[0]} and {found[1]}", "exactly one key says the kind")
    else:
        return _record(doc, path, node, kind.kinds[found[0]])
    return None


def _anything(doc: Document, path: Path, node: Node) -> Any:
    doc.lines.setdefault(path, node.line)
    if isinstance(node, Sequence):
        return [_anything(doc, (*path, str(number)), item) for number, item in enumerate(node.items)]
    if isinstance(node, yamlnodes.Mapping):
        _mapping(doc, path, node)
        return {key.text: _anything(doc, (*path, key.text), child) for key, child in node.entries}
    words = {"true": True, "false": False, "null": None}
    if not node.plain or not surprise(node.text):
        return node.text
    if node.text in words:
        return words[node.text]
    if re.fullmatch(rf"0|-?[1-9][0-9]{{0,{MAX_DIGITS - 1}}}", node.text, re.ASCII):
        return int(node.text)
    what = surprise(node.text)
    doc.problem(path, f"some YAML readers take {node.text or 'an empty value'} for {what}", f'write "{node.text}"')
    return None
