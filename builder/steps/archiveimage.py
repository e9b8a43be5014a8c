"""An image out of an archive of another tool: every digest checked, its bytes kept where they have a manifest.

`docker save` of old has none: then one is made, the same for the same content, and the layers, which it stores
uncompressed, become zstd frames of a fixed size.
"""

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from builder.errors import StepError
from builder.lock.imagesources import LockedImageSource
from builder.lock.model import LockedFile
from builder.mirror.documents import check_config, check_kinds
from builder.plan.model import Output, Receipt, Step
from builder.recipe.elsewhere import ArchiveImage
from builder.recipe.places import beside
from builder.steps.context import Job, StepContext
from builder.steps.image import CONFIG, MANIFEST
from builder.steps.url import checked_blob
from builder.store import Store
from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.files import HashingWriter
from bundles.foreign.catalogue import OpenArchive, open_archive, open_bodies
from bundles.foreign.find import read_images
from bundles.foreign.images import StoredImage, StoredLayer
from bundles.foreign.layer import opener_for
from bundles.foreign.model import OpenableLayer
from bundles.layers.frames import ZSTD_VERSION, compress_frame
from bundles.layers.model import MAX_FRAME
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.region import Region
from bundles.registry.documents import MAX_MANIFEST, RemoteManifest
from bundles.sealed.documents import make_manifest
from bundles.sealed.opened import descriptor

VERSION: Final = 1
LEVEL: Final = 9  # of layers that were not compressed


def describe(image: ArchiveImage, locked: LockedImageSource | None, platform: Platform, file_name: str) -> Job:
    """Image and the archive that the lock pins -> its job; with a component, that one's receipt pins it. Pure.

    `file_name` is the archive's: its suffix tells how it is packed.
    """
    step = Step(
        name=f"image {image.name}",
        kind="archive-image",
        version=VERSION,
        description={
            "digest": str(locked.digest) if locked else None,
            "name": file_name,
            "image": image.source.name if image.source else None,
            "platform": str(platform),
            "zstd": ZSTD_VERSION,
        },
        needs=(f"component {image.component}",) if image.component else (),
        seconds=5,
    )
    return Job(step=step, run=functools.partial(_run, image, locked, file_name))


def _run(image: ArchiveImage, locked: LockedImageSource | None, file_name: str, context: StepContext) -> Receipt:
    if image.file is None:
        (output,) = context.needed[f"component {image.component}"].outputs.values()
        path = checked_blob(context.store, LockedFile(name=file_name, size=output.size, digest=output.digest))
    else:
        path = beside(context.recipe, image.file)
        with path.open("rb") as file:
            found = Digest(hashlib.file_digest(file, "sha256").hexdigest())
        if locked is None or found != locked.digest:
            hint = "run sealift lock if the change is meant"
            want = locked.digest if locked else "an entry in the lock"
            raise StepError("the archive changed since the lock", where=path, got=found, want=want, hint=hint)
    return keep_image(path, file_name, image.source, context)


def keep_image(path: Path, file_name: str, wanted: Reference | None, context: StepContext) -> Receipt:
    """One image of the archive at `path`, its blobs in the store, its documents in the facts.

    `wanted` None: the only one there is for the platform. Raises MissingError with what there is, FormatError for
    damaged or hostile archives, LimitError.
    """
    link = context.folder / "archive" / file_name
    link.parent.mkdir()
    link.symlink_to(path)  # the readers tell the packing by the name
    with open_archive(link) as archive:
        chosen = _chosen(read_images(archive), wanted, context.platform, file_name)
        config = _config(archive, chosen, file_name)
        manifest = _manifest(archive, chosen, file_name) if chosen.manifest_digest is not None else None
    absent = [layer.member for layer in chosen.layers if layer.span is None]
    if absent:
        raise FormatError("a layer is not in the archive", where=file_name, got=absent[0])
    spans = {layer.member: layer.span for layer in chosen.layers if layer.span}
    with open_bodies(link, context.folder, spans) as bodies:
        kept = [_keep(context.store, layer, bodies[layer.member], packed=manifest is None) for layer in chosen.layers]
    if manifest is None:
        manifest = make_manifest(config, [descriptor(oci.LAYER_ZSTD, one.digest, one.size) for one in kept])
    _check(manifest, config, context.platform, file_name)
    outputs = {f"layer {number}": one for number, one in enumerate(kept, 1)}
    documents = {MANIFEST: manifest.decode(), CONFIG: config.decode()}
    return Receipt(outputs=outputs, facts={"documents": documents})


def _chosen(images: list[StoredImage], wanted: Reference | None, platform: Platform, where: str) -> StoredImage:
    same = (platform.os, platform.architecture)
    fitting = [one for one in images if (one.platform.os, one.platform.architecture) == same]
    named = [one for one in fitting if wanted is None or wanted.name in one.names]
    if len({one.config_digest for one in named}) == 1:
        return min(named, key=lambda one: one.manifest_digest is None)
    names = sorted({f"{name} ({one.platform})" for one in images for name in one.names or {"an image without a name"}})
    got = ", ".join(names[:20]) or "no image"
    if not named:
        raise MissingError("not in the archive", where=where, got=got, want=f"{wanted or 'an image'} for {platform}")
    raise FormatError("several images: say which", where=where, got=got, hint="add `image: NAME`")


def _config(archive: OpenArchive, chosen: StoredImage, where: str) -> bytes:
    """The config's bytes: whatever it is called, its digest is known."""
    hex_ = chosen.config_digest.hex
    for name in sorted(archive.contents.files, key=lambda name: hex_ not in name):
        size = archive.contents.files[name][1]
        if size <= MAX_MANIFEST and (hex_ in name or name.endswith(".json")):
            data = archive.document(name)
            if Digest.of(data) == chosen.config_digest:
                return data
    raise FormatError("the image's configuration is not in the archive", where=where, got=chosen.config_digest)


def _manifest(archive: OpenArchive, chosen: StoredImage, where: str) -> bytes:
    digest = chosen.manifest_digest
    assert digest is not None
    name = f"blobs/sha256/{digest.hex}"
    data = archive.document(name) if name in archive.contents.files else b""
    if Digest.of(data) != digest:
        raise FormatError("the image's manifest is not in the archive", where=where, got=digest)
    return data


def _keep(store: Store, layer: StoredLayer, body: Region, *, packed: bool) -> Output:
    """A layer, read once, checked and kept: as it is stored, or packed."""
    with store.temp_file() as (file, path):
        writer = HashingWriter(file, path)
        if packed:
            opened = OpenableLayer(
                diff_id=layer.diff_id, digest=layer.digest, size=body.size, where=body.where, opener=opener_for(body)
            )
            with opened.open() as pieces:
                for frame in _frames(pieces):
                    writer.write(compress_frame(frame, LEVEL))
        else:
            copied = body.copied_to(file.fileno(), path)
            opened = OpenableLayer(
                diff_id=layer.diff_id, digest=layer.digest, size=body.size, where=body.where, opener=opener_for(copied)
            )
            with opened.open() as pieces:
                for _ in pieces:
                    pass
        digest = writer.digest if packed else layer.digest
        assert digest is not None
        store.adopt(file, path, digest)
    return Output(digest=digest, size=writer.size if packed else body.size)


def _frames(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of MAX_FRAME, the last one shorter."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= MAX_FRAME:
            yield bytes(buffer[:MAX_FRAME])
            del buffer[:MAX_FRAME]
    if buffer:
        yield bytes(buffer)


def _check(manifest: bytes, config: bytes, platform: Platform, where: str) -> None:
    """What archives of a bundle hold is an image of the platform, with layers that nodes can unpack."""
    document = jsontext.decode(manifest, RemoteManifest, where=where, max_size=MAX_MANIFEST)
    check_kinds(document, where)
    check_config(config, document, platform, where)
