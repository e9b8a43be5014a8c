"""The images that rendered objects ask for. Pure: documents in, references out.

Whatever is called `image` and is a text counts, wherever it stands: containers of pods and of templates, volumes, and
the custom resources of operators, which start pods of their own.
"""

from collections.abc import Iterator
from typing import Any


def images_asked(documents: list[Any]) -> list[tuple[str, str]]:
    """Objects as plain values -> (image as it is written, `Kind name`), sorted, each once."""
    found = set()
    for document in documents:
        for each in _objects(document):
            owner = f"{each.get('kind', 'object')} {(each.get('metadata') or {}).get('name', '')}".strip()
            found |= {(image, owner) for image in _images(each)}
    return sorted(found)


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        items = document.get("items")
        if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
            for item in items:
                yield from _objects(item)
        else:
            yield document


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "image" and isinstance(child, str) and child:
                yield child
            else:
                yield from _images(child)
    elif isinstance(value, list):
        for child in value:
            yield from _images(child)
