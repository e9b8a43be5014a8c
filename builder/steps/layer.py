"""Layers: outputs of components, or the packaged charts, as a framed zstd tar."""

import functools
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from builder.errors import StepError
from builder.plan.model import Output, Receipt, Step
from builder.recipe.model import CHARTS, AssembleImage, Placement
from builder.steps.context import Job, StepContext
from builder.steps.userland import FOLDERS, LINKS
from builder.store import Store
from builder.store_frames import StoreFrames
from bundles.layers.build import build_layer
from bundles.layers.frames import ZSTD_VERSION
from bundles.layers.model import FRAME_FORMAT, FramedLayer, LayerEntry
from bundles.layers.plan import plan_layer

VERSION: Final = 1
# One layer at a time takes all processors: two would hold twice the compressors, and neither would be done sooner.
LANE: Final = "layers"
_COMPRESSED: Final = 38  # percent of its content that a layer of stripped Go programs keeps at level 9, generously


def describe(image: AssembleImage, number: int, *, charts: tuple[str, ...], epoch: int, level: int, size: int) -> Job:
    """Layer `number` (from 0) of an image -> its job; `charts` are the recipe's, by key. Pure.

    `size` is an estimate of its content in bytes. Level 9 compresses eighty megabytes a second on two cores.
    """
    placements = image.layers[number]
    step = Step(
        name=layer_name(image, number),
        kind="layer",
        version=VERSION,
        description={
            "placements": [[p.component, p.output, str(p.folder)] for p in placements],
            "epoch": epoch,
            "level": level,
            "zstd": ZSTD_VERSION,
            "frames": FRAME_FORMAT,
        },
        needs=tuple(dict.fromkeys(need for p in placements for need in _needs(p, charts))),
        seconds=1 + size // 80_000_000,
        size=size * _COMPRESSED // 100,
    )
    return Job(step=step, run=functools.partial(_run, placements, charts, level), lane=LANE)


def layer_name(image: AssembleImage, number: int) -> str:
    """The step's name, counted from 1 for people."""
    return f"layer {image.name} {number + 1}"


def framed_layer(receipt: Receipt) -> FramedLayer:
    """The layer of a layer step's receipt."""
    return FramedLayer.from_plain(receipt.facts["layer"])


def placed(
    placements: tuple[Placement, ...], needed: Mapping[str, Receipt], charts: tuple[str, ...]
) -> list[LayerEntry]:
    """Receipts by step name -> the layer's files. Pure; raises StepError where two claim one path."""
    entries: dict[str, LayerEntry] = {}
    for placement in placements:
        for entry in _entries(placement, needed, charts):
            known = entries.setdefault(entry.path, entry)
            if known is not entry and (entry.kind != "dir" or known != entry):
                raise StepError(
                    "two components put a file at one path", where=placement.component, got=f"/{entry.path}"
                )
    return list(entries.values())


def _entries(placement: Placement, needed: Mapping[str, Receipt], charts: tuple[str, ...]) -> Iterator[LayerEntry]:
    """The files of a placement; and where a whole component is placed, its links and empty folders."""

    def path(name: str) -> str:
        return str(PurePosixPath(str(placement.folder).lstrip("/")) / name)

    for name, output in _outputs(placement, needed, charts):
        yield LayerEntry(path=path(name), kind="file", mode=output.mode, size=output.size, digest=output.digest)
    if placement.output is None and placement.component != CHARTS:
        facts = needed[f"component {placement.component}"].facts
        for name, target in facts.get(LINKS, {}).items():
            yield LayerEntry(path=path(name), kind="symlink", mode=0o777, target=target)
        for name, mode in facts.get(FOLDERS, {}).items():
            yield LayerEntry(path=path(name), kind="dir", mode=mode)


def _run(placements: tuple[Placement, ...], charts: tuple[str, ...], level: int, context: StepContext) -> Receipt:
    plan = plan_layer(placed(placements, context.needed, charts), context.lock.epoch)
    layer = build_layer(
        plan,
        context.store,
        context.store,
        StoreFrames(context.store),
        level=level,
        workers=max(1, context.jobs),
    )
    blobs = dict.fromkeys(part.digest for part in layer.parts)
    outputs = {f"part {number}": _stored(context.store, digest) for number, digest in enumerate(blobs)}
    facts: dict[str, Any] = {"layer": layer.to_plain()}
    return Receipt(outputs=outputs, facts=facts)


def _stored(store: Store, digest: Any) -> Output:
    return Output(digest=digest, size=store.path(digest).stat().st_size)


def _needs(placement: Placement, charts: tuple[str, ...]) -> Iterator[str]:
    if placement.component == CHARTS:
        yield from (f"chart {name}" for name in charts)
    else:
        yield f"component {placement.component}"


def _outputs(
    placement: Placement, needed: Mapping[str, Receipt], charts: tuple[str, ...]
) -> Iterator[tuple[str, Output]]:
    for need in _needs(placement, charts):
        for name, output in sorted(needed[need].outputs.items()):
            is_chart = placement.component == CHARTS
            if (is_chart and name.endswith(".yaml")) or (not is_chart and placement.output in (None, name)):
                yield name, output
