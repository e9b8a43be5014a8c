"""Images as somebody publishes them: real tars in gzip, zstd or plain, in a registry; recipes that mirror them."""

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backports import zstd

from bundles import oci
from bundles.digest import Digest
from tests.support.registry import Registry
from tests.support.tars import END, member

DOCKER = {
    oci.MANIFEST: oci.DOCKER_MANIFEST,
    oci.INDEX: oci.DOCKER_INDEX,
    oci.CONFIG: oci.DOCKER_CONFIG,
    oci.LAYER_TAR: oci.DOCKER_LAYER_TAR,
    oci.LAYER_GZIP: oci.DOCKER_LAYER_GZIP,
}
BUNDLE = """\
sealift: 1
name: taken
version: v1.0.0
sequence: 1
platforms: [linux/amd64]
archives:
  rke2-runtime: [rke2-runtime]
  images: [{images}]
"""
RUNTIME = """\
rke2-runtime:
  name: rancher/rke2-runtime
  layers:
    - tool: /bin
"""


@dataclass(frozen=True)
class Layer:
    """A layer: its bytes as stored, its media type, the digest of its tar."""

    data: bytes
    kind: str
    diff_id: str


@dataclass(frozen=True)
class Published:
    """What a push made: the manifest's bytes, and what an index says of it."""

    manifest: bytes
    config: bytes
    descriptor: dict[str, Any]

    @property
    def digest(self) -> Digest:
        """The manifest's."""
        return Digest.of(self.manifest)


def layer(files: Mapping[str, bytes], kind: str = oci.LAYER_GZIP) -> Layer:
    """A layer of plain files, packed as its media type says."""
    tar = b"".join(member(name, data) for name, data in files.items()) + END
    packed = {oci.LAYER_GZIP: lambda: gzip.compress(tar, mtime=0), oci.LAYER_ZSTD: lambda: zstd.compress(tar)}
    diff_id = f"sha256:{hashlib.sha256(tar).hexdigest()}"
    return Layer(packed.get(kind, lambda: tar)(), kind, diff_id)


def push(
    registry: Registry, repository: str, tag: str | None, layers: Sequence[Layer], *, architecture: str = "amd64",
    variant: str = "", docker: bool = False, diff_ids: Sequence[str] | None = None,
) -> Published:  # fmt: skip
    """An image under a tag, or under its digest alone; `docker`: with docker's media types."""

    def kind(oci_type: str) -> str:
        return DOCKER.get(oci_type, oci_type) if docker else oci_type

    platform = {"architecture": architecture, "os": "linux"} | ({"variant": variant} if variant else {})
    ids = list(diff_ids) if diff_ids is not None else [one.diff_id for one in layers]
    config = json.dumps(
        {**platform, "rootfs": {"type": "layers", "diff_ids": ids}, "config": {"Env": ["A=1"]}}
    ).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": kind(oci.MANIFEST),
        "config": registry.push_blob(repository, config, kind(oci.CONFIG)),
        "layers": [registry.push_blob(repository, one.data, kind(one.kind)) for one in layers],
    }
    data = json.dumps(document).encode()
    digest = registry.push_manifest(repository, tag or str(Digest.of(data)), document)
    descriptor = {"mediaType": kind(oci.MANIFEST), "digest": str(digest), "size": len(data), "platform": platform}
    return Published(data, config, descriptor)


def push_index(
    registry: Registry, repository: str, tag: str, images: Sequence[Published], *, docker: bool = False
) -> bytes:
    """An index of images that are there; returns its bytes."""
    media = oci.DOCKER_INDEX if docker else oci.INDEX
    document = {"schemaVersion": 2, "mediaType": media, "manifests": [one.descriptor for one in images]}
    registry.push_manifest(repository, tag, document)
    return json.dumps(document).encode()


def taking_recipe(folder: Path, images: Mapping[str, str]) -> Path:
    """A recipe whose runtime is a script, and whose other images are taken over: key -> the lines below it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.yaml").write_text(BUNDLE.format(images=", ".join(images)))
    (folder / "components.yaml").write_text("tool:\n  file: ./tool\n  executable: true\n")
    (folder / "tool").write_text("#!/bin/sh\nexit 0\n")
    rows = [f"{name}:\n" + "".join(f"  {line}\n" for line in text.splitlines()) for name, text in images.items()]
    (folder / "images.yaml").write_text(RUNTIME + "".join(rows))
    return folder
