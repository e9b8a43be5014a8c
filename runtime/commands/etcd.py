"""`sealift-node etcd-snapshot` and `sealift-node etcd-member`: RKE2's words where RKE2 has them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime import options

if TYPE_CHECKING:
    from runtime.daemon.context import Node


def _node(data_dir: Path | None, config: Path | None, *flags: tuple[str, str | None]) -> "Node":
    from runtime.daemon.setup import make_node

    given = [(key, value) for key, value in flags if value is not None]
    return make_node("server", data_dir=data_dir, config=config, flags=given, allow_unlisted=False, say=_say)


def _say(line: str) -> None:
    click.echo(line, err=True)


@click.group(name="etcd-snapshot")
def etcd_snapshot() -> None:
    """Keep copies of the cluster's database. Restore one: server --cluster-reset --cluster-reset-restore-path."""


@etcd_snapshot.command()
@options.node_flags
@click.option("--name", default="on-demand", show_default=True, metavar="NAME", help="How the file's name begins.")
@click.option("--dir", "folder", metavar="DIR", help="Where to. [default: the configuration's, server/db/snapshots]")
@options.json_flag
def save(data_dir: Path | None, config: Path | None, name: str, folder: str | None, as_json: bool) -> None:
    """Take one now, from the etcd of this server. Prints its path."""
    import asyncio
    import time

    from runtime.etcd import snapshots
    from runtime.etcd.gateway import local_gateway

    node = _node(data_dir, config, ("etcd-snapshot-dir", folder)).config
    taken = asyncio.run(snapshots.save(local_gateway(node), node, name, int(time.time())))
    click.echo(json.dumps({"path": str(taken.path), "size": taken.size}) if as_json else str(taken.path))


@etcd_snapshot.command(name="ls")
@options.node_flags
@options.json_flag
def list_(data_dir: Path | None, config: Path | None, as_json: bool) -> None:
    """List those of this server, oldest first: name, size in bytes, time (UTC)."""
    from datetime import UTC, datetime

    from runtime.etcd import snapshots

    found = snapshots.listed(snapshots.folder_of(_node(data_dir, config).config))
    if as_json:
        rows = [{"name": each.name, "path": str(each.path), "size": each.size, "taken": each.taken} for each in found]
        click.echo(json.dumps(rows))
        return
    for each in found:
        click.echo(f"{each.name}  {each.size}  {datetime.fromtimestamp(each.taken, UTC):%Y-%m-%dT%H:%M:%SZ}")


@etcd_snapshot.command()
@options.node_flags
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def delete(data_dir: Path | None, config: Path | None, names: tuple[str, ...]) -> None:
    """Delete some, by name."""
    from runtime.etcd import snapshots

    node = _node(data_dir, config).config
    for name in names:
        snapshots.delete(node, name)
        _say(f"deleted {name}")


@etcd_snapshot.command()
@options.node_flags
@click.option("--name", default="on-demand", show_default=True, metavar="NAME", help="How their names begin.")
@click.option("--snapshot-retention", "retention", type=click.IntRange(0), help="Keep so many. [default: configured]")
def prune(data_dir: Path | None, config: Path | None, name: str, retention: int | None) -> None:
    """Delete the oldest of one name, beyond those that are kept."""
    from runtime.etcd import snapshots

    node = _node(data_dir, config).config
    keep = node.snapshots.retention if retention is None else retention
    for gone in snapshots.prune(node, snapshots.check_name(name), keep):
        _say(f"deleted {gone.name}")


@click.group(name="etcd-member")
def etcd_member() -> None:
    """See and remove the members of the cluster's database."""


@etcd_member.command(name="ls")
@options.node_flags
@options.json_flag
def list_members(data_dir: Path | None, config: Path | None, as_json: bool) -> None:
    """List them: name, address, and whether they vote."""
    import asyncio

    from runtime.etcd.gateway import local_gateway

    found = asyncio.run(local_gateway(_node(data_dir, config).config).members())
    if as_json:
        rows = [{"id": m.id, "name": m.name, "peerURLs": list(m.peer_urls), "learner": m.learner} for m in found]
        click.echo(json.dumps(rows))
        return
    for member in found:
        click.echo(f"{member.name or member.id}  {', '.join(member.peer_urls)}  {'learner' if member.learner else ''}")


@etcd_member.command()
@options.node_flags
@click.argument("name", metavar="NAME")
def remove(data_dir: Path | None, config: Path | None, name: str) -> None:
    """Remove a member, by its name or its Node's: a machine that will not come back.

    It comes back as a new member when it starts again with `server` in its configuration; its data goes aside then.
    """
    import asyncio

    from bundles.errors import MissingError, UsageError
    from runtime.etcd.gateway import local_gateway

    async def work() -> str:
        node = _node(data_dir, config).config
        gateway = local_gateway(node)
        members = await gateway.members()
        found = [member for member in members if name in (member.name, member.node, member.id)]
        if len(found) != 1:
            names = ", ".join(member.name or member.id for member in members)
            raise MissingError("not the name of one member", got=name, want=names)
        if found[0].node == node.node_name:
            raise UsageError("a server does not remove itself", got=name, hint="do it on another server")
        await gateway.remove(found[0].id)
        return found[0].name or found[0].id

    _say(f"removed {asyncio.run(work())}")
