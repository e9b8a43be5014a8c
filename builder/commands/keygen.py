"""`sealift keygen`."""

import json
import os
import sys
from pathlib import Path

import click

from builder import options


@click.command("keygen")
@click.argument("name", metavar="[NAME]", type=options.PATH, required=False)
@click.option("--output", type=options.PATH, metavar="PREFIX", help="The same as NAME.")
@click.option(
    "--type",
    "algorithm",
    type=click.Choice(["ecdsa-p256", "ed25519"]),
    default="ecdsa-p256",
    show_default=True,
    help="The key's kind; tokens and clouds know the first one best.",
)
@options.passphrase_flags
@options.json_flag
@options.common
def command(
    name: Path | None,
    output: Path | None,
    algorithm: str,
    password_file: Path | None,
    password_fd: int | None,
    password_env: str | None,
    as_json: bool,
) -> None:
    """Make a key pair: NAME.key, encrypted in cosign's own form, and NAME.pub.

    Existing files are never overwritten. The passphrase is asked for, or comes from one of --password-file,
    --password-fd, --password-env, or SEALIFT_PASSWORD or COSIGN_PASSWORD in the environment; it is never an argument.
    """
    from builder.keygen import make_pair
    from builder.passphrase import PassphraseSource
    from bundles.errors import UsageError

    if (name is None) == (output is None):
        raise UsageError("one name is needed for the key", want="sealift keygen NAME")
    prefix = name or output
    assert prefix is not None
    source = PassphraseSource(file=password_file, fd=password_fd, variable=password_env)
    ask = source.asker(os.environ, what=f"{prefix}.key", new=True)
    made = make_pair(prefix, algorithm, ask)  # type: ignore[arg-type] # click checked the choice
    if not made.protected:
        print("warning: the passphrase is empty: whoever can read the key can sign", file=sys.stderr)
    if as_json:
        click.echo(json.dumps({"key": str(made.private), "public": str(made.public), "id": str(made.id)}))
        return
    click.echo(made.private)
    click.echo(made.public)
