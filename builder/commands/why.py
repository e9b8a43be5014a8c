"""`sealift why`."""

import json
from pathlib import Path

import click

from builder import options
from bundles.errors import MissingError


@click.command("why")
@click.argument("recipe", metavar="RECIPE_DIR", type=options.FOLDER)
@click.argument("what")
@options.json_flag
@options.common
def command(recipe: Path, what: str, as_json: bool) -> None:
    """Say who asks for WHAT: a component, a program, an image, a chart, or a Debian package to compile with."""
    from builder.recipe.read import read_recipe
    from builder.why import reasons

    found = reasons(read_recipe(recipe), what)
    if not found:
        raise MissingError(f"nothing in this recipe asks for {what}", where=recipe, hint="sealift plan shows its steps")
    click.echo(json.dumps({"what": what, "because": found}) if as_json else "\n".join(found))
