"""What the documents of an image that is taken over must say, whoever published it. Pure."""

from typing import Final

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.platform import Platform
from bundles.registry.documents import RemoteManifest

LAYERS: Final = (
    oci.LAYER_TAR, oci.LAYER_GZIP, oci.LAYER_ZSTD, oci.DOCKER_LAYER_TAR, oci.DOCKER_LAYER_GZIP,
)  # fmt: skip


def check_kinds(manifest: RemoteManifest, where: str) -> None:
    """Raises FormatError for an artifact (a chart, a signature), and for layers that no node can unpack."""
    if manifest.config.media_type not in oci.CONFIGS:
        got = ascii((manifest.artifact_type or manifest.config.media_type)[:200])
        hint = "this is an artifact (a chart, a signature); charts are taken by charts.yaml"
        raise FormatError("not a container image", where=where, got=got, want=" or ".join(oci.CONFIGS), hint=hint)
    for layer in manifest.layers:
        if layer.media_type not in LAYERS:
            got = f"{layer.digest} ({layer.media_type[:200]!a})"
            raise FormatError("a layer of unknown media type", where=where, got=got, want="a tar, plain, gzip or zstd")


def check_config(config: bytes, manifest: RemoteManifest, platform: Platform, where: str) -> oci.ImageConfig:
    """The config's bytes as a value; raises FormatError when it is not the manifest's, or another platform's."""
    if Digest.of(config) != manifest.config.digest:
        raise FormatError("not the config that the manifest names", where=where, got=Digest.of(config))
    document = jsontext.decode(config, oci.ImageConfig, where=f"{where}: config")
    diff_ids = document.rootfs.diff_ids
    if len(diff_ids) != len(manifest.layers):
        got = f"{len(manifest.layers)} layers, {len(diff_ids)} diff ids"
        raise FormatError("manifest and config do not belong together", where=where, got=got)
    found = Platform(os=document.os, architecture=document.architecture, variant=document.variant)
    same = (found.os, found.architecture) == (platform.os, platform.architecture)
    if not same or (platform.variant and found.variant not in ("", platform.variant)):
        raise FormatError("an image for another platform", where=where, got=found, want=platform)
    return document
