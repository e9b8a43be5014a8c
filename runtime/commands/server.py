"""`sealift-node server`."""

from pathlib import Path

import click

from runtime import options


@click.command()
@options.node_flags
@click.option("--node-name", metavar="NAME", help="The Node's name; the machine's when not given.")
@click.option("--node-ip", metavar="IP", help="The Node's address; that of the default route when not given.")
@click.option("--disable", multiple=True, metavar="NAME", help="Do not run this chart or manifest (several times).")
@click.option("--server", "-s", "url", metavar="URL", help="A server to join as a further one: https://HOST:9345.")
@click.option("--token", "-t", metavar="TOKEN", help="The cluster's. Others see it in the list of processes.")
@click.option("--token-file", type=options.PATH, metavar="FILE", help="The same, from a file.")
@click.option("--cluster-reset", is_flag=True, help="Make this server the only member of its etcd, then end.")
@click.option(
    "--cluster-reset-restore-path", "snapshot", metavar="FILE", help="With --cluster-reset: from this snapshot."
)
@click.option("--allow-unlisted-images", is_flag=True, help="Import archives that no admitted bundle lists, as RKE2.")
def server(
    data_dir: Path | None,
    config: Path | None,
    node_name: str | None,
    node_ip: str | None,
    disable: tuple[str, ...],
    url: str | None,
    token: str | None,
    token_file: Path | None,
    cluster_reset: bool,
    snapshot: str | None,
    allow_unlisted_images: bool,
) -> int:
    """Run this machine as a server of the cluster, from the staged bundle, without any network.

    Ends with SIGTERM or SIGINT, or when containerd ends; pods run on, and the next start finds them. What happens is
    told on stderr; `sealift-node status` shows how the node stands.

    --cluster-reset needs the daemon stopped, ends this machine's pods, and says what is to be done next. What etcd had
    before is kept beside it.
    """
    import time
    from importlib.metadata import version

    from bundles.errors import UsageError
    from runtime.daemon.restart import reset_cluster
    from runtime.daemon.server import serve
    from runtime.daemon.setup import make_node
    from runtime.trusting.standing import before_start

    flags = [("disable", name) for name in disable]
    given = {
        "node-name": node_name,
        "node-ip": node_ip,
        "server": url,
        "token": token,
        "token-file": str(token_file) if token_file else None,
    }
    flags += [(key, value) for key, value in given.items() if value is not None]
    node = make_node(
        "server",
        data_dir=data_dir,
        config=config,
        flags=flags,
        allow_unlisted=allow_unlisted_images,
        say=lambda line: click.echo(line, err=True),
    )
    if snapshot and not cluster_reset:
        raise UsageError("--cluster-reset-restore-path is for --cluster-reset", hint="add --cluster-reset")
    if cluster_reset:
        reset_cluster(node, snapshot)
        return 0
    before_start(node.layout, allow_unlisted=allow_unlisted_images, now=int(time.time()), say=node.say)
    code, reason = serve(node, version=version("sealift"))
    click.echo(f"stopped: {reason}", err=True)
    return code
