"""`sealift sources`."""

import json
import os
from pathlib import Path

import click

from builder import options
from bundles.errors import MissingError


@click.command("sources")
@click.argument("what", metavar="RECIPE_DIR|BUNDLE", type=options.PATH)
@click.option("--to", "target", type=options.FOLDER, metavar="DIR", required=True, help="Where the sources go.")
@options.inputs_option
@click.option("--offline", is_flag=True, help="Ask no network; what is not in the store is listed as missing.")
@options.store_option
@options.progress_mode
@options.json_flag
@options.common
def command(
    what: Path,
    target: Path,
    inputs: Path | None,
    offline: bool,
    store_root: Path | None,
    progress: str,
    as_json: bool,
) -> None:
    """Collect the sources that licences of shipped things ask for, with a list that says why each is there or not.

    Debian's source packages for every package shipped, Go modules under MPL, LGPL, GPL and their like, what lies
    beside the recipe, and as build instructions the recipe with its lock. A licence that nobody declared, or that is
    not known, counts as asking. RECIPE_DIR must have been built with this store; a BUNDLE (folder or .sealift) is
    taken by its own bill of materials. SOURCES.txt is for people, sources.json for machines. Exit 1 when something
    asked for could not be had: everything else is there, and the list says what is missing.
    """
    from builder.copyleft.collect import collect
    from builder.copyleft.of import of_bundle, of_recipe
    from builder.fetch import FetchOptions
    from builder.inputs.archive import open_archive
    from builder.recipe.keys import BUNDLE
    from builder.store import Store
    from bundles.talk import human_bytes

    with options.talking(progress) as talk:
        fetching = FetchOptions(
            store=Store(options.chosen_store(store_root)),
            host=options.this_machine(),
            env=dict(os.environ),
            offline=offline,
            inputs=open_archive(inputs.absolute()) if inputs is not None else None,
            say=talk.say,
        )
        # The store's lock: a build that starts now must not tidy our folders away.
        with fetching.cancel.on_failure(), fetching.store.lock():
            wanted = of_recipe(what, fetching) if (what / BUNDLE).is_file() else of_bundle(what)
            done = collect(wanted, target.absolute(), fetching)
    missing = [row.what for row in done.missing]
    if as_json:
        said = {"sources": str(target), "files": done.files, "bytes": done.size, "missing": missing}
        click.echo(json.dumps(said))
    else:
        asked = sum(row.asked for row in done.rows)
        click.echo(f"{len(done.rows)} things shipped, {asked} ask for their source: {human_bytes(done.size)}")
        click.echo(target)
    if missing:
        rows = "".join(f"\n    {name}" for name in missing)
        hint = f"see {target}/SOURCES.txt"
        raise MissingError(f"{len(missing)} sources could not be had", where=target, got=rows, hint=hint)
