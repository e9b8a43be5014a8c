"""`sealift push`."""

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import options

if TYPE_CHECKING:
    from bundles.registry.site import Placed


@click.command("push")
@click.argument("bundles", metavar="BUNDLE...", type=options.PATH, nargs=-1, required=True)
@click.argument("place", metavar="REGISTRY/REPOSITORY[:TAG]")
@click.option(
    "--images",
    "site",
    metavar="REGISTRY[/PREFIX]",
    help="Also put every image there under its own name, and print the registries.yaml that finds them.",
)
@options.registry_flags
@options.progress_mode
@options.json_flag
@options.common
def command(
    bundles: tuple[Path, ...],
    place: str,
    site: str | None,
    ca: tuple[Path, ...],
    plain: bool | None,
    limit_rate: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Put a bundle (a folder or a .sealift file) into a registry; bundles of several platforms under one tag.

    Images are images there, so only what changed since the last release is sent; signatures, SBOMs and provenance are
    referrers. Without a tag it gets that of its version. A second push sends nothing. Credentials are those of docker
    and podman: REGISTRY_AUTH_FILE, DOCKER_CONFIG, what their `login` wrote, credential helpers. The last line of stdout
    is what `sealift pull` takes.
    """
    from builder.reach import Reach
    from bundles.errors import UsageError
    from bundles.registry.opened import opened_bundle
    from bundles.registry.place import is_loopback, parse_place, parse_prefix
    from bundles.registry.platforms import push_bundles, push_images_of
    from bundles.registry.site import site_registries
    from bundles.source import open_source
    from bundles.talk import human_bytes

    target = parse_place(place)
    if target.digest is not None:
        raise UsageError("a push goes to a tag", got=place)
    prefix = parse_prefix(site) if site is not None else None
    reach, talk = Reach(ca=ca, plain=plain, limit_rate=limit_rate), options.byte_progress(progress)
    with reach.opened(os.environ) as registry, contextlib.ExitStack() as held:
        opened = [held.enter_context(opened_bundle(held.enter_context(open_source(one)))) for one in bundles]
        sent = push_bundles(opened, registry, target.repository, target.tag, talk)
        placed: list[Placed] = []
        nodes = ""
        if prefix is not None:
            host, below = prefix
            placed = push_images_of(opened, registry, host, below, sent.each, talk)
            near = is_loopback(host) if plain is None else plain
            nodes = site_registries(*opened, host=host, prefix=below, plain=near)
    reference = f"{target.repository}:{sent.tag}"
    if as_json:
        images = {one.reference: f"{one.repository}:{one.tag}@{one.digest}" for one in placed}
        said = {"bundle": str(bundles[-1]), "reference": reference, "digest": str(sent.digest), "sent": sent.counts}
        click.echo(json.dumps(said | ({"images": images, "registries.yaml": nodes} if prefix is not None else {})))
        return
    for one in placed:
        click.echo(f"{one.repository}:{one.tag}@{one.digest}")
    if nodes:
        click.echo("# /etc/rancher/rke2/registries.yaml of the site's nodes:")
        click.echo(nodes)
    counts = sent.counts
    size = human_bytes(counts["bytes"])
    click.echo(
        f"sent {counts['blobs']} blobs, {size}, {counts['manifests']} manifests, {counts['referrers']} referrers"
    )
    click.echo(f"{reference}@{sent.digest}")
