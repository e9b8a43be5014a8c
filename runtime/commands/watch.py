"""`sealift-node watch`: the inbox of a plain RKE2 node."""

import json
import re
import time
from pathlib import Path

import click

from runtime import options
from runtime.layout import NodeLayout

# `PathChanged` alone: with a glob, `refused/` would start the service again and again. What is there at boot, and what
# arrives while the service runs, is found by the service itself (it is enabled too, and ends with 75).
PATH_UNIT = """[Unit]
Description=Bundles for RKE2 in {inbox}

[Path]
PathChanged={inbox}
Unit=sealift-inbox.service

[Install]
WantedBy=multi-user.target
"""
SERVICE_UNIT = """[Unit]
Description=Check bundles in {inbox} and put their images where RKE2 finds them
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/usr/local/bin/sealift-node watch {inbox} --data-dir {data}
# A copy that is still running (exit code 75) is looked at again.
Restart=on-failure
RestartSec=10
PrivateNetwork=yes
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
"""
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")


@click.command()
@click.argument("inbox", type=options.PATH, metavar="INBOX")
@options.data_dir
@click.option("--quiet", type=float, default=5.0, show_default=True, help="Seconds without a change until it is whole.")
@click.option("--print-units", is_flag=True, help="Print the systemd units that start this when something arrives.")
@options.talk_flags
def watch(inbox: Path, data_dir: Path, quiet: float, print_units: bool, progress: str, as_json: bool) -> int:
    """Check what lies in INBOX against the policy in force, and admit what holds. For RKE2 itself, not sealift-node.

    Only modern bundles are taken: RKE2 cannot run the programs of a classic one. What is refused is moved to
    INBOX/refused with the reason beside it. Exit codes: 0 nothing was refused; 1; 3 refused for trust; 75 something is
    still being copied.
    """
    if print_units:
        _refuse_odd(inbox.absolute(), data_dir)
        for name, text in (("sealift-inbox.path", PATH_UNIT), ("sealift-inbox.service", SERVICE_UNIT)):
            click.echo(f"# /etc/systemd/system/{name}")
            click.echo(text.format(inbox=inbox.absolute(), data=data_dir))
        return 0
    return _pass(inbox.absolute(), NodeLayout.at(data_dir), quiet, progress, as_json)


def _refuse_odd(*paths: Path) -> None:
    """Units give blanks, quotes and `%` a meaning."""
    from bundles.errors import UsageError

    for path in paths:
        if not _PLAIN.fullmatch(str(path)):
            raise UsageError("a path that units cannot name plainly", got=str(path), want="letters, digits, / . _ -")


def _pass(inbox: Path, layout: NodeLayout, quiet: float, progress: str, as_json: bool) -> int:
    import sys

    from bundles.errors import FormatError, TrustError, printable, printable_lines
    from bundles.talk import make_progress
    from runtime import inbox as folder
    from runtime.host import platform
    from runtime.offer import read_offer
    from runtime.stage import stage
    from runtime.trusting.gate import Asked, passing

    now = time.time()

    def say(line: str) -> None:
        click.echo(printable_lines(line), err=True)

    def admit(path: Path) -> None:
        with passing(layout, Asked(), event="watch", what=path, now=int(now), say=say) as gate:
            if (flavour := read_offer(path, gate.trust).index.flavour) != "modern":
                hint = "RKE2 cannot run it: sealift-node stage takes it, for sealift-node server"
                raise FormatError("not a bundle for RKE2", where=path, got=flavour, want="modern", hint=hint)
            told = make_progress(progress, sys.stderr, time.monotonic)  # type: ignore[arg-type] # click checked it
            stage(path, layout, gate.trust, platform=platform(), now=int(now), progress=told, say=say, gate=gate)

    taken = folder.process(inbox, admit, now=now, quiet=quiet)
    for one in taken:
        if as_json:
            click.echo(json.dumps({"name": one.name, "admitted": not one.why, "why": one.why}))
        else:
            result = "refused" if one.why else "admitted"
            click.echo(f"{result}: {printable(one.name)}" + (f": {one.why}" if one.why else ""))
    if any(one.trust for one in taken):
        return TrustError.exit_code
    if any(one.why for one in taken):
        return 1
    return 75 if folder.waiting(inbox) else 0
