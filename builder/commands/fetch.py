"""`sealift fetch`."""

import json
import os
import sys
import time
from pathlib import Path

import click

from builder import options


@click.command("fetch")
@click.argument("recipe", metavar="RECIPE_DIR", type=options.FOLDER)
@click.option("--to", "target", type=options.FOLDER, metavar="DIR", help="Write an input archive there, or add to it.")
@options.inputs_option
@click.option("--offline", is_flag=True, help="Ask no network: fail at once when something is missing.")
@options.registry_flags
@options.mirror_option
@options.store_option
@options.progress_mode
@options.json_flag
@options.common
def command(
    recipe: Path,
    target: Path | None,
    inputs: Path | None,
    offline: bool,
    ca: tuple[Path, ...],
    plain: bool | None,
    limit_rate: str | None,
    mirrors: tuple[str, ...],
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
    from builder.progress import make_talk
    from builder.store import Store
    from bundles.talk import human_bytes

    sources = read_sources(recipe)
    talk = make_talk(progress, sys.stderr, time.monotonic)  # type: ignore[arg-type] # click checked the choice
    fetching = FetchOptions(
        store=Store(options.chosen_store(store_root)),
        host=options.this_machine(),
        env=dict(os.environ),
        offline=offline,
        reach=options.chosen_reach(ca, plain, limit_rate, mirrors),
        inputs=open_archive(inputs.absolute()) if inputs is not None else None,
        say=talk.say,
    )
    try:
        done = fill(sources, target.absolute() if target is not None else None, fetching)
    except BaseException:
        fetching.cancel.cancel()
        raise
    finally:
        talk.close()
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
