"""Where the files lie that a recipe names: in its folder, or in its base's when they are only there."""

import os
from pathlib import Path, PurePosixPath

from builder.recipe.model import Recipe


def beside(recipe: Recipe, path: PurePosixPath | str) -> Path:
    """A path that a recipe names -> the file or folder. A path that is nowhere is one of the recipe's own folder."""
    return overlaid(recipe.folder, recipe.base, path)


def overlaid(folder: Path, base: Path | None, path: PurePosixPath | str) -> Path:
    """The same for a recipe's folder and its base's (None: it has none)."""
    if base is not None and not os.path.lexists(folder / path) and os.path.lexists(base / path):
        return base / path
    return folder / path
