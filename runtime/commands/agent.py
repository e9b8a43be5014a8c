"""`sealift-node agent`."""

from pathlib import Path

import click

from runtime import options


@click.command()
@click.option("--server", "-s", "url", metavar="URL", help="A server to join: https://HOST:9345.")
@click.option("--token", "-t", metavar="TOKEN", help="What to join with. Others see it in the list of processes.")
@click.option("--token-file", type=options.PATH, metavar="FILE", help="The same, from a file.")
@options.node_flags
@click.option("--node-name", metavar="NAME", help="The Node's name; the machine's when not given.")
@click.option("--node-ip", metavar="IP", help="The Node's address; that of the default route when not given.")
@click.option("--allow-unlisted-images", is_flag=True, help="Import archives that no admitted bundle lists, as RKE2.")
def agent(
    url: str | None,
    token: str | None,
    token_file: Path | None,
    data_dir: Path | None,
    config: Path | None,
    node_name: str | None,
    node_ip: str | None,
    allow_unlisted_images: bool,
) -> int:
    """Run this machine as an agent of a cluster, from the staged bundle.

    The token pins the cluster's authority: nothing is said to a server that is not of it. Servers are found again by
    what was learned of them; an agent that has joined before starts while they are down. Ends as `server` does.
    """
    import time
    from importlib.metadata import version

    from runtime.daemon.server import serve
    from runtime.daemon.setup import make_node
    from runtime.trusting.standing import before_start

    given = {
        "server": url,
        "token": token,
        "token-file": str(token_file) if token_file else None,
        "node-name": node_name,
        "node-ip": node_ip,
    }
    node = make_node(
        "agent",
        data_dir=data_dir,
        config=config,
        flags=[(key, value) for key, value in given.items() if value is not None],
        allow_unlisted=allow_unlisted_images,
        say=lambda line: click.echo(line, err=True),
    )
    before_start(node.layout, allow_unlisted=allow_unlisted_images, now=int(time.time()), say=node.say)
    code, reason = serve(node, version=version("sealift"))
    click.echo(f"stopped: {reason}", err=True)
    return code
