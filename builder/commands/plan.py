"""`sealift plan`."""

import json
import os
from pathlib import Path

import click

from builder import options


@click.command("plan")
@click.argument("recipe", metavar="RECIPE_DIR", type=options.FOLDER)
@click.option(
    "--platform",
    "wanted",
    metavar="OS/ARCH",
    help="Which platform.  [default: this machine's, or the first]",
)
@options.inputs_option
@options.store_option
@options.json_flag
@options.common
def command(recipe: Path, wanted: str | None, inputs: Path | None, store_root: Path | None, as_json: bool) -> None:
    """Show what a build would do: its steps, which the store has, and what the rest may take."""
    from builder.build import default_jobs, plan_build, read_sources
    from builder.inputs.archive import open_archive
    from builder.inputs.look import plan_line
    from builder.platforms import one_of
    from builder.space import estimate
    from builder.store import Store
    from builder.summary import plan_document, plan_lines
    from builder.times import Times

    host = options.this_machine()
    sources = read_sources(recipe)
    platform = one_of(sources.recipe, wanted, host)
    sources = sources.of(platform)
    store = Store(options.chosen_store(store_root))
    archive = open_archive(inputs.absolute()) if inputs is not None else None
    plan = plan_build(sources, platform, store, os.environ, host)
    space, times = estimate(plan, store), Times(store).of(plan.rows)
    if as_json:
        click.echo(json.dumps(plan_document(sources.recipe, plan, space, times)))
    else:
        click.echo("\n".join(plan_lines(sources.recipe, plan, space, default_jobs(), times)))
        if archive is not None:
            click.echo(plan_line(archive, sources.lock, sources.digest))
