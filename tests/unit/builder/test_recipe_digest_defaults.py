"""A lock outlives new keys of recipes: what has its default does not count."""

import dataclasses
from pathlib import Path

from builder.recipe.digest import recipe_digest
from builder.recipe.model import DEFAULT_LEVEL, CompileComponent
from builder.recipe.read import read_recipe
from tests.support.recipes import tiny_recipe


def test_a_key_with_its_default_does_not_change_the_digest_and_another_value_does(tmp_path: Path) -> None:
    recipe = read_recipe(tiny_recipe(tmp_path, lock=False))
    assert recipe_digest(dataclasses.replace(recipe, level=DEFAULT_LEVEL)) == recipe_digest(recipe)
    assert recipe_digest(dataclasses.replace(recipe, level=3)) != recipe_digest(recipe)
    tool = recipe.components["tool"]
    assert isinstance(tool, CompileComponent)
    tool = dataclasses.replace(tool, static=False)
    changed = dataclasses.replace(recipe, components={**recipe.components, "tool": tool})
    assert recipe_digest(changed) != recipe_digest(recipe)
