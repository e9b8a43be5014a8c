"""`sealift-node reset`."""

import json
import os
from pathlib import Path

import click

from runtime import options
from runtime.layout import NodeLayout


@click.command()
@options.data_dir
@click.option("--bundles", is_flag=True, help="Also remove what `stage` brought: kept bundles and agent/images.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.json_flag
@options.debug_flag
def reset(data_dir: Path, bundles: bool, yes: bool, as_json: bool) -> int:
    """Stop this node and remove its cluster: pods, data, certificates, network, cgroups, settings.

    Staged bundles stay, so that `server` makes a new cluster of them; --bundles removes them too. Exit code 1 when
    something could not be removed; it is named.
    """
    import asyncio

    from bundles.errors import UsageError
    from runtime.nodepaths import NodePaths
    from runtime.reset.run import reset as run_reset

    layout = NodeLayout.at(data_dir)
    if not yes:
        if not os.isatty(0):
            raise UsageError("this removes the cluster's data", where=layout.data, hint="add --yes")
        click.confirm(f"Remove the cluster in {layout.data}, with all its data?", abort=True, err=True)
    report = asyncio.run(
        run_reset(
            layout,
            NodePaths(data=layout.data),
            bundles_too=bundles,
            environment=dict(os.environ),
            say=lambda line: click.echo(line, err=True),
        )
    )
    if as_json:
        click.echo(json.dumps({"data": str(layout.data), "done": report.done, "left": report.left}))
    else:
        words = ", ".join(f"{count} {name}" for name, count in report.done.items() if count)
        click.echo(f"removed: {words or 'nothing was there'}")
    for line in report.left:
        click.echo(f"left: {line}", err=True)
    return 1 if report.left else 0
