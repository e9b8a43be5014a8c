"""`sealift-node audit`: what was decided on this node."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from bundles.errors import printable
from runtime import options
from runtime.layout import NodeLayout


@click.command()
@options.data_dir
@options.json_flag
@options.debug_flag
def audit(data_dir: Path, as_json: bool) -> None:
    """Print every decision of this node, oldest first, once the chain of the log holds.

    A changed, removed or added line, and a cut end, are errors (exit code 1).
    """
    import msgspec

    from runtime.trusting import audit as log
    from runtime.trusting import memory
    from runtime.trusting.places import TrustPlaces

    places = TrustPlaces.of(NodeLayout.at(data_dir))
    entries = log.read(places.audit)
    remembered = memory.read(places.memory).audit
    log.check(places.audit, remembered)
    if as_json:
        for entry in entries:
            click.echo(json.dumps(msgspec.to_builtins(entry, enc_hook=str), ensure_ascii=True))
        return
    for entry in entries:
        at = datetime.fromtimestamp(entry.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        words = ", ".join(f"{key}: {value}" for key, value in entry.details.items())
        click.echo(printable(f"{entry.number} {at} {entry.event} {entry.result} {words}"))
    click.echo(f"{len(entries)} decisions, the last {remembered.digest}", err=True)
