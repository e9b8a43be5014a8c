"""`sealift sign`."""

import json
import os
from pathlib import Path

import click

from builder import options


@click.command("sign")
@click.argument("bundle", type=options.PATH, metavar="BUNDLE|POLICY")
@click.option("--key", type=options.PATH, metavar="KEY", help="The private key: sealift's, cosign's, or plain PEM.")
@click.option(
    "--signer",
    "program",
    metavar="exec:PROGRAM",
    help="Let this program sign: it reads from stdin what to sign and prints the signature.",
)
@click.option("--public", type=options.PATH, metavar="PUB", help="With --signer: the public half of its key.")
@click.option("--quick", is_flag=True, help="Check every blob's digest before signing, but decompress nothing.")
@options.passphrase_flags
@options.progress_mode
@options.json_flag
@options.common
def command(
    bundle: Path,
    key: Path | None,
    program: str | None,
    public: Path | None,
    quick: bool,
    password_file: Path | None,
    password_fd: int | None,
    password_env: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Check a bundle, then sign it: bundle.json.sigstore.json and bundle.json.sig. Or a policy's file.

    A further signer's files carry the key's id in their names: nobody's signature is replaced but one's own. A
    provenance and SBOMs in the bundle are signed as attestations. Each file is one that cosign verifies.
    """
    from builder.passphrase import PassphraseSource
    from builder.signer import choose_signer
    from builder.signing import sign_bundle, sign_policy
    from bundles.errors import UsageError

    if not bundle.exists():
        raise UsageError("no such bundle or policy", where=bundle)
    passphrase = PassphraseSource(file=password_file, fd=password_fd, variable=password_env)
    signer = choose_signer(key, program, public, passphrase.asker(os.environ, what=str(key)), os.environ)
    if signer is None:
        raise UsageError("nothing says who signs", want="--key KEY, or --signer exec:PROGRAM --public PUB")
    if bundle.is_file():
        digest = sign_policy(bundle.absolute(), signer)
        signed = {"policy": str(bundle), "sha256": digest.hex, "key": str(signer.public.id)}
        click.echo(json.dumps(signed) if as_json else f"signed {bundle} with {signer.public.id}")
        return
    report = sign_bundle(bundle.absolute(), signer, progress=options.byte_progress(progress), quick=quick)
    if as_json:
        said = {"bundle": str(bundle), "index": str(report.index), "key": str(report.key), "files": list(report.files)}
        click.echo(json.dumps(said))
        return
    for name in report.files:
        click.echo(bundle / name)
