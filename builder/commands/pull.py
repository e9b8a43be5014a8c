"""`sealift pull`."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import options

if TYPE_CHECKING:
    from builder.reach import Reach


@click.command("pull")
@click.argument("place", metavar="REGISTRY/REPOSITORY:TAG[@DIGEST]")
@click.option(
    "--output", type=options.FOLDER, metavar="DIR", required=True, help="Where the bundle's own folder is made."
)
@click.option(
    "--platform", "wanted", metavar="OS/ARCH", help="Of bundles for several platforms which.  [default: this machine's]"
)
@options.reach_options
@options.progress_mode
@options.json_flag
@options.common
def command(
    place: str,
    output: Path,
    wanted: str | None,
    reach: "Reach",
    progress: str,
    as_json: bool,
) -> None:
    """Get a bundle out of a registry, byte for byte as it was pushed; the last line of stdout is its folder.

    Every byte is checked against its digest, but nothing is trusted: `sealift verify` decides that. Interrupted, the
    same command goes on where it was.
    """
    from bundles.errors import UsageError
    from bundles.platform import Platform
    from bundles.registry.place import parse_place
    from bundles.registry.pull import pull_bundle
    from bundles.talk import human_bytes

    platform = Platform.parse(wanted) if wanted else options.this_machine()
    source = parse_place(place)
    if not source.reference:
        raise UsageError("which tag or digest?", got=place, want="REGISTRY/REPOSITORY:TAG")
    with reach.opened(os.environ) as registry:
        pulled = pull_bundle(registry, source, output.absolute(), options.byte_progress(progress), platform)
    if as_json:
        said = {"bundle": str(pulled.folder), "digest": str(pulled.digest), "bytes": pulled.size}
        click.echo(json.dumps(said | {"signatures": list(pulled.signatures), "was_there": pulled.was_there}))
        return
    was = "was there already" if pulled.was_there else f"{human_bytes(pulled.size)} fetched"
    print(f"{pulled.digest}: {was}; sealift verify says whether to trust it", file=sys.stderr)
    click.echo(pulled.folder)
