"""`sealift diff`."""

import json
from pathlib import Path

import click

from builder import options


@click.command("diff")
@click.argument("old", type=options.PATH)
@click.argument("new", type=options.PATH)
@options.json_flag
@options.common
def command(old: Path, new: Path, as_json: bool) -> None:
    """Compare two bundles: images, charts, packages, files, and how many bytes are new."""
    from bundles.diff import diff, render

    found = diff(old, new)
    click.echo(json.dumps(found, indent=2) if as_json else render(found))
