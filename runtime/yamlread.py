"""YAML of charts and users -> documents, bounded before anything is built of it. Pure.

libyaml's composer recurses in C: a few hundred kilobytes of `[` end the process. Aliases make a few lines into
billions of values as soon as somebody walks over them. So the events are looked at first, which takes neither.
"""

from collections.abc import Iterator
from typing import Any, Final

import yaml

from bundles.errors import FormatError, LimitError

MAX_DEPTH: Final = 100
MAX_NODES: Final = 1_000_000  # of one text, every alias counted as what it stands for


def documents(text: bytes, where: object, loader: type[Any]) -> Iterator[Any]:
    """The documents of a text, made by `loader`. Raises FormatError for what is not YAML, LimitError."""
    try:
        bound(text, where)
        yield from yaml.load_all(text, Loader=loader)
    # yaml's constructors let pass what Python says of odd scalars and keys
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise FormatError(f"not YAML: {' '.join(str(exc).split())}", where=where) from exc


def bound(text: bytes, where: object) -> None:
    """Raises LimitError for a text that is too deep or stands for too much; yaml.YAMLError for what is not YAML."""
    sizes: dict[str, int] = {}  # nodes below each anchor
    above: list[tuple[str | None, int]] = []  # anchor and nodes so far of each open collection
    count = 0
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            above.append((event.anchor, count))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = above.pop()
            if anchor is not None:
                sizes[anchor] = count - before
            continue
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise FormatError("an alias that names nothing, or what it stands in", where=where)
            count += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None:
                sizes[event.anchor] = 1
        else:
            continue
        count += 1
        if count > MAX_NODES or len(above) > MAX_DEPTH:
            want = f"<= {MAX_DEPTH} levels, {MAX_NODES} values"
            raise LimitError("YAML too deep, or too much of it", where=where, want=want)
