"""Writes what is generated from the code: docs/cli.md and docs/recipe.md. Tests compare both with the code."""

from pathlib import Path

from builder.recipe.reference import recipe_page
from builder.reference import cli_page
from bundles.files import write_atomic

DOCS = Path(__file__).resolve().parents[1] / "docs"

if __name__ == "__main__":
    for name, text in {"cli.md": cli_page(), "recipe.md": recipe_page()}.items():
        write_atomic(DOCS / name, text.encode())
        print(f"docs/{name}")
