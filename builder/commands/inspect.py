"""`sealift inspect`."""

import json
from pathlib import Path

import click

from builder import options


@click.command("inspect")
@click.argument("path", type=options.PATH)
@click.option("--packages", is_flag=True, help="List what is inside, from the bundle's SBOM: versions and licences.")
@options.json_flag
@options.common
def command(path: Path, packages: bool, as_json: bool) -> None:
    """Show what a bundle (a folder or a .sealift file) or one sealed archive (.tar) says of itself.

    Nothing is checked: see `sealift verify`.
    """
    if packages:
        from bundles import packages as listing

        rows = listing.packages(path)
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False) if as_json else listing.render(rows))
        return
    from bundles.inspect import inspect, render

    seen = inspect(path)
    click.echo(json.dumps(seen, indent=2) if as_json else render(seen))
