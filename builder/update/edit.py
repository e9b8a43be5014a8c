"""A recipe's YAML with other versions in it, and nothing else changed: comments, layout and quotes stay. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from bundles.errors import FormatError

Path = tuple[str | int, ...]  # keys and list positions, from the document's root


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """In `file`, in the scalar at `path`: `old` becomes `new`."""

    file: str
    path: Path
    old: str
    new: str


def edited(files: Mapping[str, bytes], edits: Iterable[Edit]) -> dict[str, bytes]:
    """Files and edits -> the files that change; raises FormatError for an edit that finds nothing to change."""
    by_file: dict[str, list[Edit]] = {}
    for edit in edits:
        by_file.setdefault(edit.file, []).append(edit)
    return {name: _edited(name, files[name].decode(), found).encode() for name, found in by_file.items()}


def _edited(name: str, text: str, edits: Sequence[Edit]) -> str:
    # The recipe was read before, strictly: its depth is bounded, and it has no aliases or tags.
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    spans = []
    for edit in edits:
        node = _at(root, edit.path)
        start, end = node.start_mark.index, node.end_mark.index
        if text[start:end].count(edit.old) != 1:
            where = f"{name}:{node.start_mark.line + 1}"
            raise FormatError("no version that can be changed here", where=where, got=text[start:end], want=edit.old)
        at = text.index(edit.old, start, end)
        spans.append((at, at + len(edit.old), edit.new))
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _at(node: Any, path: Path) -> Any:
    for step in path:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        else:
            node = None
    if not isinstance(node, yaml.ScalarNode):
        raise FormatError("not in this file", where=".".join(map(str, path)))
    return node


def has(data: bytes, path: Path, text: str = "") -> bool:
    """Whether a file has a scalar there, with `text` in it: a derived recipe has some of its base's entries only there,
    and `$version` stands for another one.
    """
    try:
        node = _at(yaml.compose(data.decode(), Loader=yaml.SafeLoader), path)
    except FormatError:
        return False
    return text in node.value


def still_says(files: Mapping[str, bytes], versions: Iterable[str]) -> list[str]:
    """`file:line` of what names an old version in words that no rule knows: tags of images, comments."""
    wanted = sorted(set(versions))
    found = []
    for name, data in sorted(files.items()):
        for number, line in enumerate(data.decode().splitlines(), 1):
            found += [f"{name}:{number} still says {version}" for version in wanted if _names(line, version)]
    return found


def _names(line: str, version: str) -> bool:
    at = line.find(version)
    while at >= 0:
        after = line[at + len(version) : at + len(version) + 1]
        before = line[at - 1 : at] if at else ""
        if not after.isdigit() and not before.isalnum():
            return True
        at = line.find(version, at + 1)
    return False
