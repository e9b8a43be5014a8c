"""`sealift-node secrets-encrypt`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime import options

if TYPE_CHECKING:
    from runtime.secretkeys.rotate import Rotation


_READ = {None: "does not answer", True: "has read this", False: "has read another"}


@click.group(name="secrets-encrypt")
def secrets_encrypt() -> None:
    """See and rotate the key that Secrets are encrypted with in etcd. They always are."""


@secrets_encrypt.command()
@options.node_flags
@options.json_flag
def status(data_dir: Path | None, config: Path | None, as_json: bool) -> int:
    """Tell the keys of this server, the writing one first, how the last rotation stands, and who has read them.

    Exit code 1 when the state is not that of the configuration. An apiserver looks for its keys once a minute.
    """
    import asyncio

    from bundles.errors import MissingError, SealiftError
    from runtime.daemon.setup import make_node
    from runtime.nodefiles import read_file
    from runtime.secretkeys.config import digest_of, read_keys, read_state

    node = make_node("server", data_dir=data_dir, config=config, flags=(), allow_unlisted=False, say=_say)
    path = node.paths.encryption_config
    data = read_file(path)
    if data is None:
        raise MissingError("no encryption configuration", where=path, hint="is this a server?")
    keys = read_keys(data, where=path)
    stage, digest = read_state(read_file(node.paths.encryption_state))
    matches = digest == digest_of(data)
    try:
        servers = asyncio.run(_rotation(data_dir, config).servers(digest_of(data)))
    except SealiftError:  # no daemon runs, or the cluster is away
        servers = {}
    if as_json:
        names = [key.name for key in keys]
        click.echo(json.dumps({"keys": names, "stage": stage, "matches": matches, "servers": servers}))
    else:
        click.echo(f"stage: {stage}{'' if matches else ' (of another configuration)'}")
        for number, key in enumerate(keys):
            click.echo(f"AES-CBC  {key.name}  {'reads' if number else 'writes'}")
        for name, has in sorted(servers.items()):
            click.echo(f"{name}: {_READ[has]}")
    return 0 if matches else 1


@secrets_encrypt.command()
@options.node_flags
def prepare(data_dir: Path | None, config: Path | None) -> None:
    """First step: a new key that every server can read with. Waits for all of them, up to a minute or two."""
    import asyncio

    asyncio.run(_rotation(data_dir, config).prepare())


@secrets_encrypt.command()
@options.node_flags
def rotate(data_dir: Path | None, config: Path | None) -> None:
    """Second step: every server writes with the new key; the old one still reads."""
    import asyncio

    asyncio.run(_rotation(data_dir, config).rotate())


@secrets_encrypt.command()
@options.node_flags
def reencrypt(data_dir: Path | None, config: Path | None) -> None:
    """Third step: write every Secret once more, then take the old key away."""
    import asyncio

    _say(f"{asyncio.run(_rotation(data_dir, config).reencrypt())} Secrets written")


@secrets_encrypt.command(name="rotate-keys")
@options.node_flags
def rotate_keys(data_dir: Path | None, config: Path | None) -> None:
    """All three steps. Run it on one server while all of them run; takes some minutes.

    No server has to be restarted: they take the keys from etcd. Interrupted, it goes on where it was when it is run
    again, here or on another server.
    """
    import asyncio

    _say(f"{asyncio.run(_rotation(data_dir, config).run())} Secrets written")


def _rotation(data_dir: Path | None, config: Path | None) -> "Rotation":
    from datetime import UTC, datetime

    from runtime.daemon.setup import make_node
    from runtime.entropy import SystemEntropy
    from runtime.etcd.gateway import local_gateway
    from runtime.secretkeys.rotate import Rotation

    node = make_node("server", data_dir=data_dir, config=config, flags=(), allow_unlisted=False, say=_say)
    return Rotation(
        node=node.config,
        admin=node.admin,
        gateway=local_gateway(node.config),
        entropy=SystemEntropy(),
        now=datetime.now(UTC),
        say=_say,
    )


def _say(line: str) -> None:
    click.echo(line, err=True)
