"""`sealift-node certificate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime import options
from runtime.layout import DEFAULT_DATA_DIR

if TYPE_CHECKING:
    from runtime.daemon.context import Node


@click.group()
def certificate() -> None:
    """See when this node's certificates end, and replace them."""


def _node(data_dir: Path | None, config: Path | None) -> "Node":
    """A server when there is a server's folder of certificates, else an agent."""
    from runtime.daemon.setup import make_node

    is_server = ((data_dir or DEFAULT_DATA_DIR) / "server" / "tls").is_dir()
    return make_node(
        "server" if is_server else "agent",
        data_dir=data_dir,
        config=config,
        flags=(),
        allow_unlisted=False,
        say=lambda line: click.echo(line, err=True),
    )


@certificate.command()
@options.node_flags
@options.json_flag
def check(data_dir: Path | None, config: Path | None, as_json: bool) -> int:
    """List all certificates: when each ends (UTC), whose it is, its file. Exit code 1 when one has ended.

    Those that end within 120 days are renewed by the next start.
    """
    from datetime import UTC, datetime

    from runtime.pki import rotate

    found = rotate.check(_node(data_dir, config).config, datetime.now(UTC))
    if as_json:
        rows = [
            {
                "path": str(each.path),
                "service": each.service,
                "subject": each.subject,
                "ends": f"{each.ends:%Y-%m-%dT%H:%M:%SZ}",
                "state": each.state,
            }
            for each in found
        ]
        click.echo(json.dumps(rows))
    else:
        for each in found:
            click.echo(f"{each.ends:%Y-%m-%d}  {each.service:<18}  {each.state:<25}  {each.path}")
    return 1 if any(each.state == "ended" for each in found) else 0


@certificate.command(name="rotate")
@options.node_flags
@click.option(
    "--service", "-s", "services", multiple=True, metavar="NAME", help="Of this service only (several times)."
)
def rotate_(data_dir: Path | None, config: Path | None, services: tuple[str, ...]) -> None:
    """Have new keys and certificates made by the next start; the daemon must be stopped.

    Services: admin, api-server, controller-manager, scheduler, supervisor, auth-proxy, etcd, kubelet, kube-proxy.
    Authorities are kept. What is replaced is kept in tls-SECONDS.
    """
    import time

    from runtime.daemon.journal import only_daemon
    from runtime.pki import rotate

    node = _node(data_dir, config)
    named = [name for text in services for name in text.split(",") if name]
    with only_daemon(node.layout):
        folder, moved = rotate.set_aside(node.config, named, int(time.time()))
    if not moved:
        click.echo("nothing to replace", err=True)
        return
    click.echo(f"{len(moved)} files are in {folder}; the next start makes new ones", err=True)
