"""The index of a chart repository (Helm, "The Chart Repository Guide"), of which one chart's entries are read. Pure.

An index lists every version of every chart, megabytes of other people's text: what is not asked for is walked over,
event by event, and never kept. No alias is followed: a kilobyte of them could stand for all memory.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError

MAX_INDEX: Final = 32 << 20  # bytes: the largest public ones have twenty
_MAX_EVENTS: Final = 8_000_000
_MAX_DEPTH: Final = 32
_MAX_VERSIONS: Final = 20_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_OPEN: Final = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSE: Final = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One version of a chart: its URL as the index says it (maybe relative), and its digest where it says one."""

    version: str
    url: str
    digest: Digest | None


def find(data: bytes, chart: str, version: str, where: str) -> Entry:
    """The index's bytes -> the entry of one exact version.

    Raises MissingError that names what there is, FormatError for what can be read in two ways, LimitError.
    """
    found = _entries(data, chart, where)
    same = [entry for entry in found if entry.version == version]
    if not same:
        there = ", ".join(entry.version for entry in found[:20]) or "no such chart"
        raise MissingError(f"no {chart} {version} in the repository", where=where, got=ascii(there)[:400])
    if len({(entry.url, entry.digest) for entry in same}) > 1:
        raise FormatError(f"the index says two things of {chart} {version}", where=where)
    return same[0]


def versions(data: bytes, chart: str, where: str) -> list[str]:
    """All versions of a chart that the index lists; errors as `find`, none for a chart that it does not know."""
    return [entry.version for entry in _entries(data, chart, where)]


def _entries(data: bytes, chart: str, where: str) -> list[Entry]:
    if len(data) > MAX_INDEX:
        raise LimitError("the index is too large", where=where, want=f"<= {MAX_INDEX} bytes")
    try:
        return _Reader(data.decode("utf-8"), where).versions(chart)
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise FormatError(f"not an index of charts: {ascii(str(exc))[:200]}", where=where) from exc


class _Reader:
    """Events of one document, counted."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._events = self._bounded(yaml.parse(text, Loader=_LOADER))

    def versions(self, chart: str) -> list[Entry]:
        """All entries of a chart, in the index's order."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                break
        found: list[Entry] | None = None
        for key, event in self._mapping(next(self._events, None)):
            if key == "apiVersion" and getattr(event, "value", "") != "v1":
                raise FormatError("an index of an unknown version", where=self._where, want="apiVersion: v1")
            if key == "entries":
                found = self._chart(event, chart)
            else:
                self._skip(event)
        if found is None:
            raise FormatError("not an index of charts: no entries", where=self._where)
        return found

    def _chart(self, start: Any, chart: str) -> list[Entry]:
        found: list[Entry] = []
        for key, event in self._mapping(start):
            if key == chart:
                found = [self._entry(item) for item in self._items(event)]
            else:
                self._skip(event)
        return found

    def _entry(self, start: Any) -> Entry:
        said: dict[str, str] = {}
        urls: list[str] = []
        for key, event in self._mapping(start):
            if key == "urls":
                urls = [self._text(item) for item in self._items(event)]
            elif key in ("version", "digest"):
                said[key] = self._text(event)
            else:
                self._skip(event)
        digest = _DIGEST.fullmatch(said.get("digest", ""))
        if said.get("digest") and digest is None:
            raise FormatError("a digest that is none", where=self._where, got=ascii(said["digest"][:100]))
        if not urls or "version" not in said:
            raise FormatError("an entry without its URL or version", where=self._where)
        return Entry(version=said["version"], url=urls[0], digest=Digest(digest[1]) if digest else None)

    def _mapping(self, start: Any) -> Iterator[tuple[str, Any]]:
        """Keys and the first event of each value; the caller takes the rest of the value."""
        if not isinstance(start, yaml.MappingStartEvent):
            raise FormatError("want a mapping", where=f"{self._where}:{self._line(start)}")
        seen: set[str] = set()
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            key = self._text(event)
            if key in seen:
                raise FormatError("a key stands twice", where=f"{self._where}:{self._line(event)}", got=ascii(key[:80]))
            seen.add(key)
            yield key, next(self._events)

    def _items(self, start: Any) -> Iterator[Any]:
        if not isinstance(start, yaml.SequenceStartEvent):
            raise FormatError("want a list", where=f"{self._where}:{self._line(start)}")
        for number, event in enumerate(self._events):
            if isinstance(event, yaml.SequenceEndEvent):
                return
            if number >= _MAX_VERSIONS:
                raise LimitError("too many versions", where=self._where, want=f"<= {_MAX_VERSIONS}")
            yield event

    def _text(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise FormatError("want a text", where=f"{self._where}:{self._line(event)}")
        return str(event.value)

    def _skip(self, start: Any) -> None:
        depth = int(isinstance(start, _OPEN))
        while depth:
            event = next(self._events)
            depth += isinstance(event, _OPEN) - isinstance(event, _CLOSE)

    def _bounded(self, events: Iterator[Any]) -> Iterator[Any]:
        depth = 0
        for number, event in enumerate(events):
            depth += isinstance(event, _OPEN) - isinstance(event, _CLOSE)
            if number > _MAX_EVENTS or depth > _MAX_DEPTH:
                raise LimitError("too many values, or nested too deeply", where=f"{self._where}:{self._line(event)}")
            if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
                raise FormatError("aliases and tags are refused", where=f"{self._where}:{self._line(event)}")
            yield event

    @staticmethod
    def _line(event: Any) -> int:
        return int(event.start_mark.line) + 1 if event is not None else 1
