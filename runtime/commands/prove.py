"""`sealift-node prove`."""

from pathlib import Path

import click

from bundles.errors import SealiftError, UsageError
from runtime import options


@click.command()
@click.argument("bundle", metavar="BUNDLE", type=options.PATH)
@click.option("--report", type=options.PATH, metavar="FILE", required=True, help="Write the report here, good or not.")
@click.option(
    "--servers",
    type=click.IntRange(min=1, max=7),
    default=1,
    show_default=True,
    metavar="M",
    help="Servers; of three or five one is lost and comes back.",
)
@click.option(
    "--agents",
    type=click.IntRange(min=0, max=8),
    default=0,
    show_default=True,
    metavar="N",
    help="Further machines that join as agents.",
)
@click.option("--one-copy", is_flag=True, help="They get no bundle: they fetch the first one's.")
@click.option(
    "--choose",
    "choices",
    multiple=True,
    metavar="KEY=NAME",
    help="cni=NAME or ingress-controller=NAME, where it is not the bundle's first; more than once.",
)
@options.trust_flags
@click.option(
    "--work", type=options.PATH, metavar="DIR", help="Disk for the machine, removed at the end. [default: /var/tmp]"
)
@click.option("--logs", type=options.PATH, metavar="DIR", help="Keep the machine's logs here.")
@click.option("--timeout", type=float, metavar="SECONDS", help="When all must be ready. [default: 600]")
@click.option("--json", "as_json", is_flag=True, help="Print the report on stdout.")
@options.progress_mode
@options.debug_flag
def prove(
    bundle: Path,
    report: Path,
    servers: int,
    agents: int,
    one_copy: bool,
    choices: tuple[str, ...],
    key: Path | None,
    policy: Path | None,
    insecure: bool,
    work: Path | None,
    logs: Path | None,
    timeout: float | None,
    as_json: bool,
    progress: str,
) -> None:
    """Boot a bundle in namespaces of its own, with no way out, check that all of it works, and write a report.

    Needs root, iproute2, nftables and util-linux; for each machine about four times the bundle's size on disk, 1 GiB of
    memory for a server, 0.4 GiB for an agent. Nothing is left when it ends. Exit code 0 only when everything is as
    it must be. Needs one of --key, --policy and --insecure-no-signature; without it the exit code is 3.
    """
    import os
    import sys
    import time

    from bundles import trust
    from bundles.files import os_errors
    from bundles.talk import make_progress
    from runtime.host import platform
    from runtime.prove import proof
    from runtime.prove import report as documents
    from runtime.prove.choosing import read_choices

    trusted = trust.require(key=key, policy=policy, insecure=insecure)
    if not report.absolute().parent.is_dir():
        raise UsageError("no such folder for the report", where=report)
    with os_errors(report):
        report.unlink(missing_ok=True)  # a proof that is interrupted must not leave the word of an earlier one
    result = proof.prove(
        proof.Proving(
            bundle=bundle,
            trust=trusted,
            platform=platform(),
            now=int(time.time()),
            work=work or proof.WORK,
            logs=logs,
            patience=proof.PATIENCE if timeout is None else timeout,
            servers=servers,
            agents=agents,
            one_copy=one_copy,
            choices=read_choices(choices),
            environment=os.environ,
            clock=time.monotonic,
            progress=make_progress(progress, sys.stderr, time.monotonic),  # type: ignore[arg-type] # click checked it
            say=lambda line: click.echo(line, err=True),
        )
    )
    documents.write(report, result.report)
    click.echo(documents.encode(result.report).decode() if as_json else str(report), nl=not as_json)
    if result.error is not None:
        raise result.error
    if faults := result.report.faults():
        raise SealiftError("the bundle is not proved", where=bundle, got="; ".join(faults), hint=f"look at {report}")
