"""`sealift-node pull`."""

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundles.errors import printable_lines
from runtime import options

if TYPE_CHECKING:
    from bundles.talk import Progress
    from runtime.layout import NodeLayout
    from runtime.stage import StageReport
    from runtime.trusting.gate import Asked


@click.command()
@click.option("--server", "-s", "url", metavar="URL", help="A server of the cluster: https://HOST:9345.")
@click.option("--token-file", type=options.PATH, metavar="FILE", help="The join token: server/node-token of it.")
@click.option("--from", "place", metavar="REGISTRY/REPOSITORY:TAG", help="In place of a server: a site's registry.")
@click.option("--registries", type=options.PATH, metavar="FILE", help="How registries are reached: a registries.yaml.")
@options.data_dir
@options.gate_flags
@options.talk_flags
def pull(
    url: str | None,
    token_file: Path | None,
    place: str | None,
    registries: Path | None,
    data_dir: Path,
    key: Path | None,
    policy: Path | None,
    insecure: bool,
    override: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Fetch the bundle that a server runs from, or one of a registry, and admit it as `stage` does.

    From a server (`agent` does it where none is staged): the policy in force decides. Without one the server's word
    counts, because the token pins whose server it is; that is recorded, and told at every start. A token without a
    hash (K10...) pins nobody, and is refused then.

    From a registry, where `sealift push` put it: the policy in force, --key, --policy or --insecure-no-signature
    decide. Registries are reached as /etc/rancher/rke2/registries.yaml says, or another such FILE.
    """
    from bundles.errors import UsageError
    from runtime.layout import NodeLayout
    from runtime.trusting.gate import Asked

    asked = Asked(key=key, policy=policy, insecure=insecure, override=override)
    layout = NodeLayout.at(data_dir)
    if place is not None and url is None and token_file is None:
        report = _from_registry(place, registries, layout, asked, progress)
    elif place is None and url is not None and token_file is not None and registries is None:
        if not asked.silent or override is not None:
            raise UsageError("a server's bundle is judged by the policy in force alone", hint="leave the flag out")
        report = _from_server(url, token_file, layout, progress)
    else:
        raise UsageError("from where?", want="--server URL --token-file FILE, or --from REGISTRY/REPOSITORY:TAG")
    click.echo(json.dumps({"bundle": report.bundle, "folder": str(report.folder)}) if as_json else str(report.folder))


def _from_server(url: str, token_file: Path, layout: "NodeLayout", progress: str) -> "StageReport":
    from runtime.joining.pulling import Given, pull_bundle

    return pull_bundle(
        Given(
            url=url,
            token_file=token_file,
            layout=layout,
            now=int(time.time()),
            clock=time.monotonic,
            sleep=time.sleep,
            progress=_progress(progress),
            say=_say,
        )
    )


def _from_registry(
    place: str, registries: Path | None, layout: "NodeLayout", asked: "Asked", progress: str
) -> "StageReport":
    from bundles.errors import UsageError
    from bundles.registry.place import parse_place
    from runtime import host
    from runtime.pullingbundle import From, pull_from
    from runtime.registries import read_private_registry

    parsed = parse_place(place)
    if not parsed.reference:
        raise UsageError("which tag or digest?", got=place, want="REGISTRY/REPOSITORY:TAG")
    return pull_from(
        From(
            place=parsed,
            registries=read_private_registry(registries),
            layout=layout,
            asked=asked,
            platform=host.platform(),
            now=int(time.time()),
            progress=_progress(progress),
            say=_say,
            env=os.environ,
        )
    )


def _say(line: str) -> None:
    click.echo(printable_lines(line), err=True)


def _progress(mode: str) -> "Progress":
    from bundles.talk import make_progress

    return make_progress(mode, sys.stderr, time.monotonic)  # type: ignore[arg-type] # click checked it
