"""An image in a registry, to be unpacked as one of an archive is: its documents now, its layers as they arrive."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError, LimitError
from bundles.foreign.find import runs_on
from bundles.foreign.images import MAX_LAYERS, read_config
from bundles.foreign.layer import checked
from bundles.foreign.model import FoundImage, LayerOpener, OpenableLayer
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.registry.documents import Document, RemoteManifest, choose, read_index, read_manifest
from bundles.registry.memory import in_memory
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry, Write
from bundles.registry.session import no_check
from bundles.registry.stream import streamed
from bundles.registry.wire import Check
from bundles.talk import Progress

_MAX_CONFIG: Final = 8 << 20  # bytes, as in archives


def remote_image(
    registry: Registry, repository: Repository, reference: Reference, platform: Platform, *, digest: Digest | None,
    progress: Progress,
) -> FoundImage:  # fmt: skip
    """The image that `repository` has under the digest or, without one, under the reference's tag.

    Its layers are fetched when they are opened, while `registry` is open. Raises MissingError for no such image or
    none for the platform, FormatError for one that is malformed, another platform's, or of foreign layers; LimitError.
    """
    where = f"{repository}:{digest or reference.tag}"
    document = registry.manifest(repository, str(digest or reference.tag), no_check)
    if document.is_index:
        one = choose(read_index(document, where=where).manifests, platform, where=where)
        document = registry.manifest(repository, str(one.digest), no_check)
    manifest = read_manifest(document, where=where)
    config, has, diff_ids = _config(registry, repository, manifest, where)
    if not runs_on(has, platform):
        raise FormatError(f"{reference} is for another platform", where=where, got=has, want=platform)
    layers = tuple(
        OpenableLayer(
            diff_id=diff_id, digest=layer.digest, size=layer.size, where=f"{repository}@{layer.digest}",
            opener=_opener(registry, repository, progress),
        )
        for layer, diff_id in zip(manifest.layers, diff_ids, strict=True)
    )  # fmt: skip
    return _found(reference, document, config, has, layers, where)


def _config(
    registry: Registry, repository: Repository, manifest: RemoteManifest, where: str
) -> tuple[Digest, Platform, list[Digest]]:
    if len(manifest.layers) > MAX_LAYERS:
        raise LimitError("too many layers", where=where, got=len(manifest.layers), want=f"<= {MAX_LAYERS}")
    if manifest.config.size > _MAX_CONFIG:
        raise LimitError("image config too large", where=where, got=manifest.config.size, want=f"<= {_MAX_CONFIG}")
    data = in_memory(registry, repository, manifest.config.digest, manifest.config.size)
    found = read_config(data, f"{where}: {manifest.config.digest}")
    if len(found[2]) != len(manifest.layers):
        got, want = len(found[2]), len(manifest.layers)
        raise FormatError("the config names another number of layers", where=where, got=got, want=want)
    return found


def _opener(registry: Registry, repository: Repository, progress: Progress) -> LayerOpener:
    @contextlib.contextmanager
    def opened(layer: OpenableLayer, max_content: int) -> Iterator[Iterator[bytes]]:
        digest = layer.digest
        assert digest is not None  # a manifest names it

        def fetch(write: Write, check: Check) -> None:
            def counted(data: bytes, offset: int) -> None:
                write(data, offset)
                progress.advance(len(data))

            registry.fetch(repository, digest, layer.size, counted, check)

        with streamed(fetch) as chunks, contextlib.closing(checked(layer, chunks, layer.size, max_content)) as pieces:
            yield pieces

    return opened


def _found(
    reference: Reference, document: Document, config: Digest, platform: Platform, layers: tuple[OpenableLayer, ...],
    where: str,
) -> FoundImage:  # fmt: skip
    return FoundImage(
        reference=reference,
        identity=document.digest,
        manifest_digest=document.digest,
        config_digest=config,
        platform=platform,
        layers=layers,
        archive=Path(where),
    )
