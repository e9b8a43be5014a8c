"""`sealift-node env`."""

import json
import shlex
from pathlib import Path

import click

from runtime import options
from runtime.layout import NodeLayout


@click.command(name="env")
@options.data_dir
@options.json_flag
@options.debug_flag
def environment(data_dir: Path, as_json: bool) -> None:
    """Print what kubectl, crictl and ctr need to find this node: eval "$(sealift-node env)"."""
    from runtime.daemon.environment import variables

    found = variables(NodeLayout.at(data_dir))
    if as_json:
        click.echo(json.dumps(found))
        return
    for name, value in found.items():
        # The shell's own PATH stays behind ours.
        tail = ':"$PATH"' if name == "PATH" else ""
        click.echo(f"export {name}={shlex.quote(value)}{tail}")
