"""Images that docker or podman build of a Containerfile; then they are what any other archive is.

What comes out differs each time, by times and by what the engine is: the step runs once for each content id, and the
store keeps what it made. Its facts, and through them the provenance, say that these bytes cannot be made again.
"""

import functools
from dataclasses import replace
from typing import Final

from builder.engine.containerfile import bases, pinned
from builder.engine.door import Engine, EngineBuild
from builder.errors import StepError
from builder.lock.elsewhere import containerfile
from builder.lock.imagesources import LockedImageSource
from builder.plan.model import Receipt, Step
from builder.recipe.elsewhere import EngineImage
from builder.recipe.places import beside
from builder.steps.archiveimage import keep_image
from builder.steps.context import Job, StepContext
from builder.steps.folders import copy_locked
from bundles.layers.frames import ZSTD_VERSION
from bundles.platform import Platform
from bundles.reference import Reference

VERSION: Final = 1
FACT: Final = "engine"  # what built it, in words; the bytes are not reproducible
LANE: Final = "engine"
CHOICE: Final = "SEALIFT_ENGINE"  # variable: the engine's command, `podman` or `docker --context x`
_NAME: Final = "sealift.invalid/built:image"


def describe(image: EngineImage, locked: LockedImageSource, platform: Platform) -> Job:
    """Image and its locked folder and bases -> its job. Pure."""
    step = Step(
        name=f"image {image.name}",
        kind="engine-image",
        version=VERSION,
        description={
            "digest": str(locked.digest),
            "bases": [[base.reference, str(base.digest)] for base in locked.bases],
            "containerfile": str(image.containerfile),
            "target": image.target,
            "arguments": dict(image.arguments),
            "network": image.network,
            "platform": str(platform),
            "zstd": ZSTD_VERSION,
        },
        seconds=60,
    )
    return Job(step=step, run=functools.partial(_run, image, locked), lane=LANE)


def _run(image: EngineImage, locked: LockedImageSource, context: StepContext) -> Receipt:
    engine = Engine.chosen(context.host)
    folder = copy_locked(
        beside(context.recipe, image.folder), context.folder / "context", locked.digest, context.lock.epoch
    )
    file = context.folder / "Containerfile"
    digests = {base.reference: base.digest for base in locked.bases}
    text = containerfile(context.recipe, image)
    where = f"{image.folder}/{image.containerfile}"
    names = {name: digests[Reference.parse(name).name] for name in bases(text, where)}
    file.write_text(pinned(text, names, where))
    output = context.folder / "image.tar"
    engine.build(
        EngineBuild(
            folder=folder,
            file=file,
            output=output,
            tag=f"{_NAME}-{locked.digest.hex[:16]}",
            target=image.target,
            arguments=dict(image.arguments),
            network=image.network,
            platform=context.platform,
        )
    )
    if not output.is_file():
        raise StepError("the engine wrote no archive", where=f"image {image.name}")
    receipt = keep_image(output, output.name, None, context)
    return replace(receipt, facts={**receipt.facts, FACT: engine.version()})
