"""Images: config and manifest over finished layers."""

import functools
from typing import Final

from builder.plan.model import Receipt, Step
from builder.recipe.model import AssembleImage, Placement
from builder.steps.context import Job, StepContext
from builder.steps.layer import framed_layer, layer_name
from bundles import oci
from bundles.platform import Platform
from bundles.sealed.documents import make_config, make_manifest
from bundles.sealed.opened import descriptor

VERSION: Final = 1
MANIFEST: Final = "manifest.json"
CONFIG: Final = "config.json"


def describe(image: AssembleImage, epoch: int, platform: Platform) -> Job:
    """Image -> its job; it needs its layers. Pure."""
    step = Step(
        name=f"image {image.name}",
        kind="image",
        version=VERSION,
        description={
            "reference": image.reference.name,
            "platform": str(platform),
            "epoch": epoch,
            "user": image.user,
            "entrypoint": list(image.entrypoint),
            "command": list(image.command),
            "environment": dict(image.environment),
            "workdir": image.workdir,
            "labels": dict(image.labels),
            "layers": [[[p.component, p.output, str(p.folder)] for p in placements] for placements in image.layers],
        },
        needs=tuple(layer_name(image, number) for number in range(len(image.layers))),
    )
    return Job(step=step, run=functools.partial(_run, image))


def _run(image: AssembleImage, context: StepContext) -> Receipt:
    layers = [framed_layer(context.needed[layer_name(image, number)]) for number in range(len(image.layers))]
    config = make_config(
        platform=context.platform,
        created=context.lock.epoch,
        layers=[(layer.diff_id, _made_by(placements)) for layer, placements in zip(layers, image.layers, strict=True)],
        config=_container(image),
    )
    manifest = make_manifest(config, [descriptor(oci.LAYER_ZSTD, layer.digest, layer.size) for layer in layers])
    # The documents are a few hundred bytes of canonical JSON: kept in the receipt, they need no blobs of their own.
    documents = {MANIFEST: manifest.decode(), CONFIG: config.decode()}
    return Receipt(outputs={}, facts={"reference": image.reference.name, "documents": documents})


def _container(image: AssembleImage) -> oci.ContainerConfig | None:
    config = oci.ContainerConfig(
        User=image.user,
        Env=[f"{name}={value}" for name, value in sorted(image.environment.items())] or None,
        Entrypoint=list(image.entrypoint) or None,
        Cmd=list(image.command) or None,
        WorkingDir=image.workdir,
        Labels=dict(sorted(image.labels.items())) or None,
    )
    return None if config == oci.ContainerConfig() else config


def _made_by(placements: tuple[Placement, ...]) -> str:
    """A line of the history: `sealift: containerd -> /bin, runc -> /bin`."""
    words = (f"{p.component}{f'/{p.output}' if p.output else ''} -> {p.folder}" for p in placements)
    return f"sealift: {', '.join(words)}"
