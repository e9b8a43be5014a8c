"""`sealift update`."""

import json
import os
import sys
import time
from pathlib import Path

import click

from builder import options
from bundles.errors import SealiftError


@click.command("update")
@click.argument("recipe", metavar="RECIPE_DIR", type=options.FOLDER)
@click.argument("components", metavar="[COMPONENT]...", nargs=-1)
@click.option("--check", "--dry-run", "check", is_flag=True, help="Change nothing; exit 1 when something is newer.")
@click.option(
    "--bundle-version", metavar="VERSION", default="", help="The bundle's next version.  [default: counted up]"
)
@click.option("--same-version", is_flag=True, help="Leave the bundle's version and sequence, while nobody has it.")
@options.registry_flags
@options.mirror_option
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
    ca: tuple[Path, ...],
    plain: bool | None,
    limit_rate: str | None,
    mirrors: tuple[str, ...],
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
    from builder.progress import make_talk
    from builder.resolve import ResolveOptions
    from builder.store import Store
    from builder.update.run import Wish, apply, look

    talk = make_talk(progress, sys.stderr, time.monotonic)  # type: ignore[arg-type] # click checked the choice
    resolving = ResolveOptions(
        store=Store(options.chosen_store(store_root)),
        host=options.this_machine(),
        env=dict(os.environ),
        now=int(time.time()),
        reach=options.chosen_reach(ca, plain, limit_rate, mirrors),
        say=talk.say,
    )
    wish = Wish(names=components, bundle=bundle_version, same_version=same_version)
    try:
        with resolving.store.lock():  # a build that starts now must not tidy our folders away
            found = look(recipe, wish, resolving)
            done = apply(recipe, found, wish, resolving) if found.anything and not check else None
    except BaseException:
        resolving.cancel.cancel()
        raise
    finally:
        talk.close()
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
