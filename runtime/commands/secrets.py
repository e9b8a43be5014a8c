"""`sealift-node secrets-encrypt`."""

import json
from pathlib import Path

import click

from runtime import options
from runtime.layout import DEFAULT_DATA_DIR


@click.group(name="secrets-encrypt")
def secrets_encrypt() -> None:
    """See and rotate the key that Secrets are encrypted with in etcd. They always are."""


def _flags(function: options.F) -> options.F:
    data_dir = click.option(
        "--data-dir", type=options.PATH, metavar="DIR", help=f"RKE2's data directory. [default: {DEFAULT_DATA_DIR}]"
    )
    config = click.option(
        "--config", type=options.PATH, metavar="FILE", help="RKE2's configuration. [default: its own, if it is there]"
    )
    return data_dir(config(options.debug_flag(function)))


@secrets_encrypt.command()
@_flags
@options.json_flag
def status(data_dir: Path | None, config: Path | None, as_json: bool) -> int:
    """Tell the keys of this server, the writing one first, and how the last rotation stands.

    Exit code 1 when the state is not that of the configuration.
    """
    import hashlib

    from bundles.errors import MissingError
    from runtime.daemon.setup import make_node
    from runtime.nodefiles import read_file
    from runtime.secretkeys.config import read_keys, read_state

    node = make_node("server", data_dir=data_dir, config=config, flags=(), allow_unlisted=False, say=_say)
    path = node.paths.encryption_config
    data = read_file(path)
    if data is None:
        raise MissingError("no encryption configuration", where=path, hint="is this a server?")
    keys = read_keys(data, where=path)
    stage, digest = read_state(read_file(node.paths.encryption_state))
    matches = digest == hashlib.sha256(data).hexdigest()
    if as_json:
        click.echo(json.dumps({"keys": [key.name for key in keys], "stage": stage, "matches": matches}))
    else:
        click.echo(f"stage: {stage}{'' if matches else ' (of another configuration)'}")
        for number, key in enumerate(keys):
            click.echo(f"AES-CBC  {key.name}  {'reads' if number else 'writes'}")
    return 0 if matches else 1


@secrets_encrypt.command(name="rotate-keys")
@_flags
def rotate_keys(data_dir: Path | None, config: Path | None) -> None:
    """Encrypt all Secrets with a new key, then forget the old one. The daemon runs; takes some minutes.

    In a cluster of one server. Interrupted, it goes on where it was when it is run again.
    """
    import asyncio
    from datetime import UTC, datetime

    from runtime.daemon.setup import make_node
    from runtime.entropy import SystemEntropy
    from runtime.etcd.gateway import local_gateway
    from runtime.secretkeys.rotate import Rotation

    node = make_node("server", data_dir=data_dir, config=config, flags=(), allow_unlisted=False, say=_say)
    rotation = Rotation(
        node=node.config,
        admin=node.admin,
        gateway=local_gateway(node.config),
        entropy=SystemEntropy(),
        now=datetime.now(UTC),
        say=_say,
    )
    _say(f"{asyncio.run(rotation.run())} Secrets written")


def _say(line: str) -> None:
    click.echo(line, err=True)
