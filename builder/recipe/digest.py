"""What a recipe says, as one digest: the parsed values, so comments, layout and the folder's place do not count."""

import dataclasses
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from builder.recipe.model import Recipe
from bundles import jsontext
from bundles.digest import Digest
from bundles.platform import Platform
from bundles.reference import Reference


def recipe_digest(recipe: Recipe) -> Digest:
    """Recipe -> the digest of its canonical JSON; mappings count without their order, lists with it."""
    document = _plain({field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)})
    del document["folder"]
    return Digest.of(jsontext.encode_canonical(document))


def _plain(value: Any) -> Any:
    if isinstance(value, Reference):
        return value.original
    if isinstance(value, (Platform, PurePath)):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(child) for child in value]
    return str(value) if isinstance(value, str) else value
