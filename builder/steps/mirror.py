"""Images that are mirrored: their documents, read once more and held against the lock. Layers go into archives."""

import functools
from typing import Any, Final

from builder.errors import StepError
from builder.lock.images import LockedBlob, LockedImage
from builder.mirror.documents import check_config, check_kinds
from builder.plan.model import Output, Receipt, Step
from builder.recipe.taken import MirrorImage
from builder.steps.context import LightJob
from builder.steps.image import CONFIG, MANIFEST
from builder.store import Store
from bundles.platform import Platform
from bundles.registry.documents import read_document, read_manifest

VERSION: Final = 1
KIND: Final = "mirror"
INDEX: Final = "index.json"
_RATE: Final = 20_000_000  # bytes a second that a registry gives, for estimates


def describe(image: MirrorImage, locked: LockedImage) -> LightJob:
    """Image and what the lock pins of it -> its job, which needs no other. Pure."""
    step = Step(
        name=f"image {image.name}",
        kind=KIND,
        version=VERSION,
        description={
            "platform": locked.platform,
            "index": str(locked.index.digest) if locked.index else None,
            "manifest": [locked.manifest.type, str(locked.manifest.digest)],
        },
        seconds=1 + locked.size // _RATE,
        size=locked.size + sum(blob.size for blob in locked.documents),
    )
    return LightJob(step=step, run=functools.partial(_run, image, locked))


def _run(image: MirrorImage, locked: LockedImage, store: Store) -> Receipt:
    texts = {name: store.read(blob.digest) for name, blob in _documents(locked).items()}
    where = image.source.name
    document = read_document(texts[MANIFEST], locked.manifest.type, where=where)
    manifest = read_manifest(document, where=where)
    check_kinds(manifest, where)
    check_config(texts[CONFIG], manifest, Platform.parse(locked.platform), where)
    said = [(each.digest, each.size) for each in (manifest.config, *manifest.layers)]
    if said != [(each.digest, each.size) for each in (locked.config, *locked.layers)]:
        hint = "the lock was edited: sealift lock"
        raise StepError("the lock says other layers than the manifest that it pins", where=where, hint=hint)
    facts: dict[str, Any] = {"documents": {name: data.decode() for name, data in texts.items()}}
    outputs = {name: Output(digest=blob.digest, size=blob.size) for name, blob in _documents(locked).items()}
    return Receipt(outputs=outputs, facts=facts)


def _documents(locked: LockedImage) -> dict[str, LockedBlob]:
    found = {MANIFEST: locked.manifest, CONFIG: locked.config}
    return found | ({INDEX: locked.index} if locked.index else {})
