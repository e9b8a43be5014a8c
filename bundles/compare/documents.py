"""Two JSON documents: which fields differ. Pure."""

from collections.abc import Iterator
from typing import Any, Final

from bundles.errors import printable

_SHOWN: Final = 100  # characters of a value


def differing(ours: Any, theirs: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Plain JSON values -> path of each field that differs, and both values in words.

    Lists of objects with names are compared by name, others by position.
    """
    named = _named(ours), _named(theirs)
    if named[0] is not None and named[1] is not None:
        ours, theirs = named
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            place = f"{at}.{key}" if at else str(key)
            if key not in theirs:
                yield place, f"ours {_shown(ours[key])}, theirs nothing"
            elif key not in ours:
                yield place, f"ours nothing, theirs {_shown(theirs[key])}"
            else:
                yield from differing(ours[key], theirs[key], place)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, two) in enumerate(zip(ours, theirs, strict=True)):
            yield from differing(one, two, f"{at}[{number}]")
    elif ours != theirs or type(ours) is not type(theirs):
        yield at, f"ours {_shown(ours)}, theirs {_shown(theirs)}"


def _named(values: Any) -> dict[str, Any] | None:
    """A list of objects by their names; None when they have none, or not each its own."""
    objects = values if isinstance(values, list) and all(isinstance(value, dict) for value in values) else []
    for key in ("name", "path", "reference"):
        found = {value[key]: value for value in objects if isinstance(value.get(key), str)}
        if objects and len(found) == len(objects):
            return found
    return None


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} values"
    text = printable(repr(value) if not isinstance(value, dict) else ", ".join(map(str, value)))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
