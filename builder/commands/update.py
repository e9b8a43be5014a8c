"""`sealift update`."""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import options
from bundles.errors import SealiftError

if TYPE_CHECKING:
    from builder.reach import Reach


@click.command("update")
@click.argument("recipe", metavar="RECIPE_DIR", type=options.FOLDER)
@click.argument("components", metavar="[COMPONENT]...", nargs=-1)
@click.option("--check", "--dry-run", "check", is_flag=True, help="Change nothing; exit 1 when something is newer.")
@click.option(
    "--bundle-version", metavar="VERSION", default="", help="The bundle's next version.  [default: counted up]"
)
@click.option("--same-version", is_flag=True, help="Leave the bundle's version and sequence, while nobody has it.")
@options.reach_options
@options.store_option
@options.progress_mode
@options.json_flag
@options.common
def command(
    recipe: Path,
    components: tuple[str, ...],
    check: bool,
    bundle_version: str,
    same_version: bool,
    reach: "Reach",
    store_root: Path | None,
    progress: str,
    as_json: bool,
) -> None:
    """Move RECIPE_DIR to the newest patches in their lines, lock it anew, and say what changed in the lock.

    Go modules stay in their major.minor line, Debian packages in their suite with its updates and security, Go itself
    in its line, tags of published images and versions of published charts in theirs. COMPONENT: names of components,
    mirrored images and charts; `go` is the toolchain, `buildroot` the packages of the build root. In the recipe only
    the versions change, comments and layout stay; the bundle gets its next version and sequence. What is pinned by a
    digest or an address alone (files of URLs) is not looked at: `sealift lock --check` shows drift.
    """
    from builder.resolve import ResolveOptions
    from builder.store import Store
    from builder.update.run import Wish, apply, look

    wish = Wish(names=components, bundle=bundle_version, same_version=same_version)
    with options.talking(progress) as talk:
        resolving = ResolveOptions(
            store=Store(options.chosen_store(store_root)),
            host=options.this_machine(),
            env=dict(os.environ),
            now=int(time.time()),
            reach=reach,
            say=talk.say,
        )
        # The store's lock: a build that starts now must not tidy our folders away.
        with resolving.cancel.on_failure(), resolving.store.lock():
            found = look(recipe, wish, resolving)
            done = apply(recipe, found, wish, resolving) if found.anything and not check else None
    newer = [*map(str, found.newer), *found.packages]
    if as_json:
        said = {"newer": newer, "elsewhere": list(found.elsewhere), "unknown": list(found.unknown)}
        more = {"changes": list(done.changes), "notes": list(done.notes)} if done is not None else {}
        click.echo(json.dumps(said | more, ensure_ascii=False))
    else:
        lines = [*newer] if done is None else [*done.changes, *done.notes]
        lines += [*found.elsewhere, *found.unknown]
        click.echo("\n".join(lines or [f"nothing newer: {recipe}"]))
    if check and found.anything:
        raise SealiftError(f"{len(newer)} newer than the recipe says", where=recipe, hint=f"sealift update {recipe}")
    if check and found.unknown:
        raise SealiftError(f"{len(found.unknown)} could not be looked at", where=recipe)
