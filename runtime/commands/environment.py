"""`sealift-node env`."""

import json
import shlex
from pathlib import Path

import click

from runtime.layout import DEFAULT_DATA_DIR, NodeLayout


@click.command(name="env")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=str(DEFAULT_DATA_DIR),
    show_default=True,
    metavar="DIR",
    help="RKE2's data directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback with an error.")
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
