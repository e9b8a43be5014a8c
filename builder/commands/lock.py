"""`sealift lock`."""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import options
from bundles.errors import SealiftError, UsageError

if TYPE_CHECKING:
    from builder.reach import Reach


@click.command("lock")
@click.argument("recipe_folder", metavar="RECIPE_DIR", type=options.FOLDER)
@click.option(
    "--check", is_flag=True, help="Write nothing: resolve all again, show what drifted, exit 1 if anything did."
)
@click.option("--same-version", is_flag=True, help="Allow other content under the same version, while nobody has it.")
@click.option(
    "--tags", is_flag=True, help="Ask registries what the tags of mirrored images stand for now; all else stays pinned."
)
@options.inputs_option
@options.reach_options
@options.store_option
@options.progress_mode
@options.json_flag
@options.common
def command(
    recipe_folder: Path,
    check: bool,
    same_version: bool,
    tags: bool,
    inputs: Path | None,
    reach: "Reach",
    store_root: Path | None,
    progress: str,
    as_json: bool,
) -> None:
    """Pin every moving part of RECIPE_DIR in its lock.yaml, and say what changed.

    What the lock pins already stays, unless the recipe asks for something else; --tags takes mirrored images as they
    are now. Go modules are held against the checksum database, Debian packages against their signed index. Review the
    lock like code.

    --check --inputs DIR asks nobody: it sees that the lock is this recipe's, and that the archive has all of it, whole.
    """
    from builder.recipe.read import LOCK
    from builder.relock import relock
    from builder.resolve import ResolveOptions
    from builder.store import Store

    if inputs is not None:
        if not check:
            raise UsageError("an archive has locked things alone", want="--check --inputs DIR")
        from builder.build import read_sources
        from builder.inputs.archive import open_archive
        from builder.inputs.look import check_archive

        sources = read_sources(recipe_folder)
        count = check_archive(open_archive(inputs.absolute()), sources.lock, sources.digest)
        said = {"lock": str(recipe_folder / LOCK), "inputs": str(inputs), "files": count}
        click.echo(json.dumps(said) if as_json else f"the lock and its {count} files in {inputs} are whole")
        return
    with options.talking(progress) as talk:
        resolving = ResolveOptions(
            store=Store(options.chosen_store(store_root)),
            host=options.this_machine(),
            env=dict(os.environ),
            now=int(time.time()),
            refresh=check,
            same_version=same_version,
            tags=tags,
            reach=reach,
            say=talk.say,
        )
        changes = relock(recipe_folder, resolving).changes
    if as_json:
        click.echo(json.dumps({"lock": str(recipe_folder / LOCK), "changes": [*changes]}, ensure_ascii=False))
    elif not check:
        click.echo(
            "\n".join([*changes, str(recipe_folder / LOCK)]) if changes else f"unchanged: {recipe_folder / LOCK}"
        )
    if check and changes:
        rows = "\n".join(f"  {change}" for change in changes)
        raise SealiftError(
            f"drifted from the lock:\n{rows}", where=recipe_folder / LOCK, hint="sealift lock, then review"
        )
    if check and not as_json:
        click.echo(f"no drift: {recipe_folder / LOCK}")
