"""`sealift push`."""

import json
import os
from pathlib import Path

import click

from builder import options


@click.command("push")
@click.argument("bundle", type=options.PATH)
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
    bundle: Path,
    place: str,
    site: str | None,
    ca: tuple[Path, ...],
    plain: bool | None,
    limit_rate: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Put a bundle (a folder or a .sealift file) into a registry.

    Images are images there, so only what changed since the last release is sent; signatures, SBOMs and provenance are
    referrers. Without a tag it gets that of its version. A second push sends nothing. Credentials are those of docker
    and podman: REGISTRY_AUTH_FILE, DOCKER_CONFIG, ~/.docker/config.json, credential helpers. The last line of stdout
    is what `sealift pull` takes.
    """
    from builder.registry import open_registry
    from bundles.errors import UsageError
    from bundles.registry.opened import opened_bundle
    from bundles.registry.place import is_loopback, parse_place, parse_prefix
    from bundles.registry.push import push_bundle
    from bundles.registry.site import push_images, site_registries
    from bundles.source import open_source
    from bundles.talk import human_bytes

    target = parse_place(place)
    if target.digest is not None:
        raise UsageError("a push goes to a tag", got=place)
    prefix = parse_prefix(site) if site is not None else None
    registry = open_registry(os.environ, ca=ca, plain=plain, limit_rate=limit_rate)
    talk = options.byte_progress(progress)
    try:
        with open_source(bundle) as source, opened_bundle(source) as opened:
            sent = push_bundle(opened, registry, target.repository, target.tag, talk)
            placed = push_images(opened, registry, *prefix, sent, talk) if prefix is not None else []
            nodes = ""
            if prefix is not None:
                nodes = site_registries(opened, *prefix, plain=is_loopback(prefix[0]) if plain is None else plain)
    finally:
        registry.close()
    reference = f"{target.repository}:{sent.tag}"
    if as_json:
        images = {one.reference: f"{one.repository}:{one.tag}@{one.digest}" for one in placed}
        counts = {"blobs": sent.blobs, "bytes": sent.size, "manifests": sent.manifests, "referrers": sent.referrers}
        said = {"bundle": str(bundle), "reference": reference, "digest": str(sent.digest), "sent": counts}
        click.echo(json.dumps(said | ({"images": images, "registries.yaml": nodes} if prefix is not None else {})))
        return
    for one in placed:
        click.echo(f"{one.repository}:{one.tag}@{one.digest}")
    if nodes:
        click.echo("# /etc/rancher/rke2/registries.yaml of the site's nodes:")
        click.echo(nodes)
    click.echo(
        f"sent {sent.blobs} blobs, {human_bytes(sent.size)}, {sent.manifests} manifests, {sent.referrers} referrers"
    )
    click.echo(f"{reference}@{sent.digest}")
