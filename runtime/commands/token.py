"""`sealift-node token`: RKE2's words."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime import options

if TYPE_CHECKING:
    from runtime.daemon.context import Node
    from runtime.supervisor.bootstrapstore import BootstrapTokens

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.group()
def token() -> None:
    """Make tokens for agents that end by themselves, and rotate the cluster's own. Run it on a server."""


def _seconds(ctx: click.Context, parameter: click.Parameter, value: str) -> int:
    """`24h`, `90m`, `0` -> seconds."""
    number, unit = (value[:-1], value[-1]) if value[-1:] in _UNITS else (value, "s")
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise click.BadParameter("a number and s, m, h or d: 24h")
    return int(number) * _UNITS[unit]


@token.command()
def generate() -> None:
    """Print a fresh ID.SECRET, and keep nothing: for `token create`."""
    click.echo(_fresh())


@token.command()
@click.argument("text", required=False, metavar="[ID.SECRET]")
@click.option(
    "--ttl", default="24h", show_default=True, callback=_seconds, metavar="TIME", help="When it ends; 0: never."
)
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@options.node_flags
def create(text: str | None, ttl: int, description: str, data_dir: Path | None, config: Path | None) -> None:
    """Make a token that agents can join with until it ends. Prints all of it, as agents take it.

    Machines that have joined stay when it ends. It is no token for servers.
    """
    import asyncio
    from datetime import UTC, datetime, timedelta

    from bundles.errors import UsageError
    from runtime.nodefiles import read_file
    from runtime.supervisor.bootstraps import BootstrapToken, split
    from runtime.supervisor.token import JoinToken, authority_hash

    node = _node(data_dir, config)
    parts = split(text or _fresh())
    if parts is None:
        raise UsageError("not a bootstrap token", want="six and sixteen lower case letters and digits: ID.SECRET")
    expires = datetime.now(UTC) + timedelta(seconds=ttl) if ttl else None
    made = BootstrapToken(id=parts[0], secret=parts[1], expires=expires, description=description)
    asyncio.run(_store(node).create(made))
    pinned = authority_hash(read_file(node.paths.tls / "server-ca.crt") or b"")
    click.echo(JoinToken(authority=pinned, user="", secret=made.text).text)


@token.command(name="list")
@options.json_flag
@options.node_flags
def list_(as_json: bool, data_dir: Path | None, config: Path | None) -> None:
    """List them, without their secrets: id, when each ends (UTC), what for. Ended ones vanish by themselves."""
    import asyncio

    found = asyncio.run(_store(_node(data_dir, config)).listed())
    if as_json:
        rows = [
            {"id": one.id, "expires": one.expires.isoformat() if one.expires else None, "description": one.description}
            for one in found
        ]
        click.echo(json.dumps(rows))
        return
    for one in found:
        ends = f"{one.expires:%Y-%m-%dT%H:%M:%SZ}" if one.expires else "never"
        click.echo(f"{one.id}  {ends:20}  {one.description}".rstrip())


@token.command()
@click.argument("names", nargs=-1, required=True, metavar="ID...")
@options.node_flags
def delete(names: tuple[str, ...], data_dir: Path | None, config: Path | None) -> None:
    """Delete some, by their ids. Machines that have joined with them stay."""
    import asyncio

    store = _store(_node(data_dir, config))
    for name in names:
        identity = name.rpartition("::")[2].partition(".")[0]
        asyncio.run(store.delete(identity))
        _say(f"deleted {identity}")


@token.command()
@click.option("--new-token", metavar="SECRET", help="The new secret; made when not given.")
@click.option("--new-token-file", type=options.PATH, metavar="FILE", help="The same, from a file.")
@options.node_flags
def rotate(new_token: str | None, new_token_file: Path | None, data_dir: Path | None, config: Path | None) -> None:
    """Give the cluster another token. Prints it. Run it on one server while all of them run.

    The cluster's keys in etcd are sealed with the new one, every server takes it at once, and nobody joins with the old
    one any more. Machines that have joined go on. Snapshots of before need the old token.
    """
    import asyncio

    from bundles.errors import UsageError
    from runtime.entropy import SystemEntropy
    from runtime.etcd.gateway import local_gateway
    from runtime.nodeconf.model import Token
    from runtime.nodefiles import read_file
    from runtime.supervisor.token import SERVER_USER
    from runtime.tokenrotation import TokenRotation
    from runtime.tokens import configured, fresh_secret

    node = _node(data_dir, config)
    if new_token and new_token_file:
        raise UsageError("--new-token and --new-token-file are one too many")
    given = Token(text=new_token, file=new_token_file) if new_token or new_token_file else None
    parsed = configured(given, default_user=SERVER_USER)
    if parsed is not None and (parsed.user != SERVER_USER or set(parsed.secret) & set(",:")):
        raise UsageError("not a secret for a cluster", hint="at least 16 letters and digits")
    work = TokenRotation(
        node=node.config,
        admin=node.admin,
        gateway=local_gateway(node.config),
        entropy=SystemEntropy(),
        secret=parsed.secret if parsed else fresh_secret(SystemEntropy()),
        say=_say,
    )
    asyncio.run(work.run())
    click.echo((read_file(node.paths.server_token) or b"").decode().strip())


def _node(data_dir: Path | None, config: Path | None) -> "Node":
    from runtime.daemon.setup import make_node

    return make_node("server", data_dir=data_dir, config=config, flags=(), allow_unlisted=False, say=_say)


def _store(node: "Node") -> "BootstrapTokens":
    from runtime.supervisor.bootstrapstore import BootstrapTokens

    return BootstrapTokens(url=node.config.api_url, identity=node.admin)


def _fresh() -> str:
    from runtime.entropy import SystemEntropy
    from runtime.supervisor.bootstraps import OCTETS, make

    return make(SystemEntropy().octets(OCTETS))


def _say(line: str) -> None:
    click.echo(line, err=True)
