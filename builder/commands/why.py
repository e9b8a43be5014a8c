"""`sealift why`."""

import json
from pathlib import Path

import click

from builder import options
from bundles.errors import MissingError, UsageError


@click.command("why")
@click.argument("of", metavar="RECIPE_DIR|BUNDLE", type=options.PATH)
@click.argument("what")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="Of a BUNDLE: byte N of that file or archive.")
@click.option(
    "--recipe", type=options.FOLDER, metavar="DIR", help="Of a BUNDLE: with the lines of its recipe and lock."
)
@options.json_flag
@options.common
def command(of: Path, what: str, offset: int | None, recipe: Path | None, as_json: bool) -> None:
    """Say who asks for WHAT in a recipe, or where WHAT in a bundle comes from.

    In a RECIPE_DIR: a component, a program, an image, a chart, or a Debian package to compile with.

    In a BUNDLE (folder or .sealift): a file, /bin/runc or IMAGE:/bin/runc, or with --offset a byte of an archive,
    images/NAME.tar. Told is where it is stored, in which layer, what component it is and what that was made from, by
    the bundle's own SBOM and provenance; with --recipe also the content id of its step, and the lines of images.yaml,
    components.yaml and lock.yaml that decide it. The recipe's lock must be the bundle's.
    """
    if of.is_file() or (of / "bundle.json").is_file():
        from builder.trace.told import render
        from builder.trace.trace import plain, trace

        found = trace(of, what, offset, recipe)
        click.echo(json.dumps(plain(found)) if as_json else render(found))
        return
    from builder.recipe.read import read_recipe
    from builder.why import reasons

    if offset is not None or recipe is not None:
        raise UsageError("--offset and --recipe are for a bundle", where=of, want="a bundle's folder or .sealift file")
    because = reasons(read_recipe(of), what)
    if not because:
        raise MissingError(f"nothing in this recipe asks for {what}", where=of, hint="sealift plan shows its steps")
    click.echo(json.dumps({"what": what, "because": because}) if as_json else "\n".join(because))
