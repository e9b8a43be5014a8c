"""What a recipe offers to nodes, as a value. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipeChoice:
    """One choice of the setting `key`: `archives` and `charts` by their names in the recipe."""

    key: str
    name: str
    archives: tuple[str, ...]
    charts: tuple[str, ...]
