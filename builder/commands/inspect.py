"""`sealift inspect`."""

import json
from pathlib import Path

import click

from builder import options


@click.command("inspect")
@click.argument("path", type=options.PATH)
@options.json_flag
@options.common
def command(path: Path, as_json: bool) -> None:
    """Show what a bundle (a folder or a .sealift file) or one sealed archive (.tar) says of itself.

    Nothing is checked: see `sealift verify`.
    """
    from bundles.inspect import inspect, render

    seen = inspect(path)
    click.echo(json.dumps(seen, indent=2) if as_json else render(seen))
