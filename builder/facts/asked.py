"""The images that rendered objects ask for. Pure: documents in, references out.

Whatever is called `image` and is a text counts, wherever it stands: containers of pods and of templates, volumes, and
the custom resources of operators, which start pods of their own.
"""

from collections.abc import Iterator
from typing import Any


def images_asked(documents: list[Any]) -> list[tuple[str, str]]:
    """Objects as plain values -> (image as it is written, `Kind name`), sorted, each once."""
    found = set()
    seen: set[int] = set()  # each value once: a few aliases may stand for billions of them
    for document in documents:
        for each in _objects(document, seen):
            metadata = each.get("metadata")
            name = metadata.get("name", "") if isinstance(metadata, dict) else ""
            owner = f"{each.get('kind', 'object')} {name}".strip()
            found |= {(image, owner) for image in _images(each, set())}
    return sorted(found)


def _objects(document: Any, seen: set[int]) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict) and id(document) not in seen:
        seen.add(id(document))
        items = document.get("items")
        if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
            for item in items:
                yield from _objects(item, seen)
        else:
            yield document


def _images(value: Any, seen: set[int]) -> Iterator[str]:
    if id(value) in seen:
        return
    if isinstance(value, dict):
        seen.add(id(value))
        for key, child in value.items():
            if key == "image" and isinstance(child, str) and child:
                yield child
            else:
                yield from _images(child, seen)
    elif isinstance(value, list):
        seen.add(id(value))
        for child in value:
            yield from _images(child, seen)
