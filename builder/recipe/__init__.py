"""Recipes: what a user writes. `model` holds the values, `parse` reads the YAML, `schema` prints the schema."""
