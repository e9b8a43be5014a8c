"""`sealift pack`."""

from pathlib import Path

import click

from builder import options


@click.command("pack")
@click.argument("bundle", type=options.FOLDER)
@click.option("--output", type=options.PATH, metavar="FILE", help="The file.  [default: BUNDLE.sealift beside it]")
@options.common
def command(bundle: Path, output: Path | None) -> None:
    """Make one file of a bundle, for transport; `verify`, `stage` and `inspect` take it as it is.

    The last line of stdout is the file.
    """
    from bundles.pack import SUFFIX, pack

    folder = bundle.absolute()
    target = output or folder.with_name(folder.name + SUFFIX)
    pack(folder, target)
    click.echo(target)
