"""`sealift-node status`."""

import json
from pathlib import Path

import click

from runtime import options
from runtime.layout import NodeLayout


@click.command()
@options.data_dir
@options.json_flag
@options.debug_flag
def status(data_dir: Path, as_json: bool) -> int:
    """Show how the node and its cluster stand: nodes, etcd, alarms, and each stage below what it waits for.

    Exit code 0 when the node is ready, 1 when it is not, or when no daemon runs.
    """
    import asyncio
    import time

    from runtime.daemon.status import as_document, as_tree, look_around, read_status

    layout = NodeLayout.at(data_dir)
    found = read_status(layout)
    health = asyncio.run(look_around(layout, found, int(time.time())))
    for line in [json.dumps(as_document(found, health), ensure_ascii=False)] if as_json else as_tree(found, health):
        click.echo(line)
    return 0 if found.ready else 1
