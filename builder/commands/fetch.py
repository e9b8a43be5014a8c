"""`sealift fetch`."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import options

if TYPE_CHECKING:
    from builder.reach import Reach


@click.command("fetch")
@click.argument("recipe", metavar="RECIPE_DIR", type=options.FOLDER)
@click.option("--to", "target", type=options.FOLDER, metavar="DIR", help="Write an input archive there, or add to it.")
@options.inputs_option
@click.option("--offline", is_flag=True, help="Ask no network: fail at once when something is missing.")
@options.reach_options
@options.store_option
@options.progress_mode
@options.json_flag
@options.common
def command(
    recipe: Path,
    target: Path | None,
    inputs: Path | None,
    offline: bool,
    reach: "Reach",
    store_root: Path | None,
    progress: str,
    as_json: bool,
) -> None:
    """Bring everything that the lock of RECIPE_DIR names into the store, and with --to into an input archive.

    An input archive is a plain folder that can be copied, burned and checked with `sha256sum -c`: Go modules as a
    module proxy has them, toolchains, Debian packages, other files, the recipe and its lock. `sealift build --inputs
    DIR --offline` builds from it, years later too. Releases share one DIR; the same command goes on after an
    interrupt, and mends what is damaged. The last line of stdout is DIR.
    """
    from builder.build import read_sources
    from builder.fetch import FetchOptions
    from builder.inputs.archive import open_archive
    from builder.inputs.fill import fill
    from builder.store import Store
    from bundles.talk import human_bytes

    sources = read_sources(recipe)
    with options.talking(progress) as talk:
        fetching = FetchOptions(
            store=Store(options.chosen_store(store_root)),
            host=options.this_machine(),
            env=dict(os.environ),
            offline=offline,
            reach=reach,
            inputs=open_archive(inputs.absolute()) if inputs is not None else None,
            say=talk.say,
        )
        with fetching.cancel.on_failure():
            done = fill(sources, target.absolute() if target is not None else None, fetching)
    written = done.written
    if as_json:
        said: dict[str, object] = {"fetched": list(done.names)}
        if written is not None:
            counts = {"files": written.files, "bytes": written.size}
            new = {"files": written.new_files, "bytes": written.new_size}
            said |= {"archive": str(target), "lock": str(written.release.lock), "release": counts, "new": new}
        click.echo(json.dumps(said))
    elif written is None:
        click.echo(f"fetched {len(done.names)} sources" if done.names else "everything is in the store")
    else:
        click.echo(
            f"{written.release.bundle}: {written.files} files, {human_bytes(written.size)};"
            f" new: {written.new_files} files, {human_bytes(written.new_size)}"
        )
        click.echo(target)
