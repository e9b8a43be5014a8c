"""`sealift-node server`."""

from pathlib import Path

import click

from runtime import options
from runtime.layout import DEFAULT_DATA_DIR


@click.command()
@click.option(
    "--data-dir", type=options.PATH, metavar="DIR", help=f"RKE2's data directory. [default: {DEFAULT_DATA_DIR}]"
)
@click.option(
    "--config", type=options.PATH, metavar="FILE", help="RKE2's configuration. [default: its own, if it is there]"
)
@click.option("--node-name", metavar="NAME", help="The Node's name; the machine's when not given.")
@click.option("--node-ip", metavar="IP", help="The Node's address; that of the default route when not given.")
@click.option("--disable", multiple=True, metavar="NAME", help="Do not run this chart or manifest (several times).")
@click.option("--allow-unlisted-images", is_flag=True, help="Import archives that no admitted bundle lists, as RKE2.")
@options.debug_flag
def server(
    data_dir: Path | None,
    config: Path | None,
    node_name: str | None,
    node_ip: str | None,
    disable: tuple[str, ...],
    allow_unlisted_images: bool,
) -> int:
    """Run this machine as a server of the cluster, from the staged bundle, without any network.

    Ends with SIGTERM or SIGINT, or when containerd ends; pods run on, and the next start finds them. What happens is
    told on stderr; `sealift-node status` shows how the node stands.
    """
    import time
    from importlib.metadata import version

    from runtime.admission import finish_alone
    from runtime.daemon.server import serve
    from runtime.daemon.setup import make_node
    from runtime.trusting.standing import check_standing, refuse_unlisted

    flags = [("disable", name) for name in disable]
    flags += [(key, value) for key, value in (("node-name", node_name), ("node-ip", node_ip)) if value is not None]
    node = make_node(
        "server",
        data_dir=data_dir,
        config=config,
        flags=flags,
        allow_unlisted=allow_unlisted_images,
        say=lambda line: click.echo(line, err=True),
    )
    if allow_unlisted_images:
        refuse_unlisted(node.layout, "--allow-unlisted-images")
    finish_alone(node.layout, node.say)  # first: what is asked about is the bundle that will run
    check_standing(node.layout, now=int(time.time()), say=node.say)
    code, reason = serve(node, version=version("sealift"))
    click.echo(f"stopped: {reason}", err=True)
    return code
