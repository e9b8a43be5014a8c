"""`sealift schema`."""

from pathlib import Path

import click

from builder import options


@click.command("schema")
@click.option("--output", type=options.PATH, metavar="FILE", help="Write it there instead of stdout.")
@options.common
def command(output: Path | None) -> None:
    """Print the JSON schema of recipes, for editors."""
    from builder.recipe.schema import schema_text
    from bundles.files import write_atomic

    text = schema_text()
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomic(output, text.encode())
