"""The OCI image spec's documents as values: descriptor, manifest, index, config; and docker's manifest.json.

Field names follow the spec; unknown fields are ignored on reading. Documents we did not make are never re-encoded:
their bytes carry their digest.
"""

import msgspec

from bundles.digest import Digest

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
INDEXES = (INDEX, DOCKER_INDEX)
CONFIGS = (CONFIG, DOCKER_CONFIG)

ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"
ANNOTATION_IMAGE_NAME = "io.containerd.image.name"
LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}\n'


class PlatformDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`platform` of a descriptor (image-index.md)."""

    architecture: str
    os: str
    variant: str = ""


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A descriptor (descriptor.md): size in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: dict[str, str] = {}
    platform: PlatformDocument | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An image manifest (manifest.md)."""

    schema_version: int
    config: Descriptor
    layers: list[Descriptor]
    media_type: str | None = None
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An image index (image-index.md), also a layout's index.json."""

    schema_version: int
    manifests: list[Descriptor]
    media_type: str | None = None
    annotations: dict[str, str] = {}


class RootFS(msgspec.Struct, frozen=True, kw_only=True):
    """`rootfs` of a config: the diff ids (digests of the uncompressed layers), lowest first."""

    type: str
    diff_ids: list[Digest]


class ContainerConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`config` of an image config: what runs. Names are the spec's capitalised ones."""

    User: str = ""
    Env: list[str] | None = None
    Entrypoint: list[str] | None = None
    Cmd: list[str] | None = None
    WorkingDir: str = ""
    Labels: dict[str, str] | None = None


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an image's history; one for each layer."""

    created: str = ""
    created_by: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image config (config.md); `created` is RFC 3339 in UTC."""

    architecture: str
    os: str
    rootfs: RootFS
    variant: str = ""
    created: str = ""
    config: ContainerConfig | None = None
    history: list[History] | None = None


class DockerImage(msgspec.Struct, frozen=True, kw_only=True):
    """One object of docker's manifest.json (docker-archive): `LayerSources` maps diff id -> layer descriptor."""

    Config: str
    RepoTags: list[str] | None
    Layers: list[str]
    LayerSources: dict[str, Descriptor] | None = None
