"""Files out of a published container image, as RKE2 collects its runtime; nothing of the image is run."""

import contextlib
import functools
from pathlib import Path
from typing import Final

from builder.lock.model import LockedInput
from builder.mirror.documents import check_config, check_kinds
from builder.plan.model import Receipt, Step
from builder.recipe.fetched import ImageFilesComponent
from builder.steps.context import Job, StepContext
from builder.steps.flatten import flatten
from builder.steps.takenfiles import Taken, keep_taken
from builder.store import Store
from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.foreign.layer import opener_for
from bundles.foreign.model import OpenableLayer
from bundles.platform import Platform
from bundles.region import open_region
from bundles.registry.documents import MAX_MANIFEST, RemoteDescriptor, RemoteManifest

VERSION: Final = 1


def describe(component: ImageFilesComponent, locked: LockedInput, platform: Platform) -> Job:
    """Component and its locked image -> its job. Pure."""
    size = sum(file.size for file in locked.files)
    step = Step(
        name=f"component {component.name}",
        kind="image-files",
        version=VERSION,
        description={
            "manifest": str(locked.files[0].digest),
            "take": {name: str(path) for name, path in component.files.items()},
            "static": component.static,
            "platform": str(platform),
        },
        seconds=1 + size // 50_000_000,
        size=2 * size,
    )
    return Job(step=step, run=functools.partial(_run, component, locked))


def _run(component: ImageFilesComponent, locked: LockedInput, context: StepContext) -> Receipt:
    where = component.reference.name
    with contextlib.ExitStack() as stack:
        layers = _layers(locked, context, where, stack)
        found = flatten(layers, [str(path) for path in component.files.values()], context.folder, where)
    taken = {name: _taken(found[str(path)].path, found[str(path)].mode) for name, path in component.files.items()}
    return keep_taken(context, taken, component.name, static=component.static)


def _taken(path: Path, mode: int) -> Taken:
    return Taken(path=path, mode=0o755 if mode & 0o111 else 0o644)


def _layers(
    locked: LockedInput, context: StepContext, where: str, stack: contextlib.ExitStack
) -> tuple[OpenableLayer, ...]:
    """The image's layers, held against manifest and config, and these against the lock."""
    manifest_file, config_file, *_ = locked.files
    data = context.store.read(manifest_file.digest)
    manifest = jsontext.decode(data, RemoteManifest, where=where, max_size=MAX_MANIFEST)
    check_kinds(manifest, where)
    config = check_config(context.store.read(config_file.digest), manifest, context.platform, where)
    said = [(one.digest, one.size) for one in (manifest.config, *manifest.layers)]
    if said != [(one.digest, one.size) for one in locked.files[1:]]:
        raise FormatError("the lock names other blobs than the manifest", where=where, hint="run sealift lock")
    return tuple(
        openable_layer(context.store, layer, diff_id, stack)
        for layer, diff_id in zip(manifest.layers, config.rootfs.diff_ids, strict=True)
    )


def openable_layer(
    store: Store, layer: RemoteDescriptor, diff_id: Digest, stack: contextlib.ExitStack
) -> OpenableLayer:
    """A layer in the store, checked while it is read; its file stays open as long as `stack`."""
    region = stack.enter_context(open_region(store.path(layer.digest), where=str(layer.digest)))
    return OpenableLayer(
        diff_id=diff_id, digest=layer.digest, size=region.size, where=region.where, opener=opener_for(region)
    )
