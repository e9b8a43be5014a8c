"""Manifests and configs of the images that we build (OCI image spec, manifest.md and config.md). Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.platform import Platform
from bundles.sealed.opened import descriptor


def make_manifest(config: bytes, layers: Sequence[oci.Descriptor]) -> bytes:
    """The config's bytes and the layers, lowest first -> the manifest's canonical bytes."""
    return jsontext.encode_canonical(
        oci.Manifest(
            schema_version=2,
            media_type=oci.MANIFEST,
            config=descriptor(oci.CONFIG, Digest.of(config), len(config)),
            layers=list(layers),
        )
    )


def make_config(
    *,
    platform: Platform,
    created: int,
    layers: Sequence[tuple[Digest, str]],
    config: oci.ContainerConfig | None = None,
) -> bytes:
    """The config's canonical bytes. `layers`, lowest first: diff id and what made it (a line of the history).

    `created` in seconds since the epoch: the lock's, never the clock's.
    """
    time = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return jsontext.encode_canonical(
        oci.ImageConfig(
            architecture=platform.architecture,
            os=platform.os,
            variant=platform.variant,
            created=time,
            config=config,
            rootfs=oci.RootFS(type="layers", diff_ids=[diff_id for diff_id, _ in layers]),
            history=[oci.History(created=time, created_by=made_by) for _, made_by in layers],
        )
    )
