"""`sealift-node pull`."""

import json
from pathlib import Path

import click

from runtime import options


@click.command()
@click.option("--server", "-s", "url", required=True, metavar="URL", help="A server of the cluster: https://HOST:9345.")
@click.option(
    "--token-file", type=options.PATH, required=True, metavar="FILE", help="The join token: server/node-token of it."
)
@options.data_dir
@options.talk_flags
def pull(url: str, token_file: Path, data_dir: Path, progress: str, as_json: bool) -> None:
    """Fetch the bundle that a server runs from, and admit it as `stage` does. `agent` does it where none is staged.

    The policy in force decides. Without one the server's word counts, because the token pins whose server it is; that
    is recorded, and told at every start. A token without a hash (K10...) pins nobody, and is refused then.
    """
    import sys
    import time

    from bundles.talk import make_progress
    from runtime.joining.pulling import Given, pull_bundle
    from runtime.layout import NodeLayout

    report = pull_bundle(
        Given(
            url=url,
            token_file=token_file,
            layout=NodeLayout.at(data_dir),
            now=int(time.time()),
            clock=time.monotonic,
            sleep=time.sleep,
            progress=make_progress(progress, sys.stderr, time.monotonic),  # type: ignore[arg-type] # click checked it
            say=lambda line: click.echo(line, err=True),
        )
    )
    click.echo(json.dumps({"bundle": report.bundle, "folder": str(report.folder)}) if as_json else str(report.folder))
