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
    """Recipe -> the digest of its canonical JSON; mappings count without their order, lists with it.

    A key that has its default is left out: a version of Sealift that knows one key more keeps every lock valid.
    """
    document = _plain(dataclasses.replace(recipe, base=None))  # what was taken from it is in the values
    del document["folder"]
    return Digest.of(jsontext.encode_canonical(document))


def _plain(value: Any) -> Any:
    if isinstance(value, Reference):
        return value.original
    if isinstance(value, (Platform, PurePath, Digest)):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        said = {
            field.name: _plain(given)
            for field in dataclasses.fields(value)
            if (given := _given(value, field)) is not None
        }
        return {"is": type(value).__name__, **said}
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(child) for child in value]
    return str(value) if isinstance(value, str) else value


def _given(value: Any, field: "dataclasses.Field[Any]") -> Any:
    """The field's value; None where it is the default."""
    given = getattr(value, field.name)
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return None if given == default else given
