"""Recipe and lock -> the jobs of a build, and what is known about each before anything runs. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from builder.errors import RecipeError
from builder.lock.model import Lock, LockedChart, LockedInput
from builder.plan.model import Receipt, Step, content_id
from builder.recipe.elsewhere import ArchiveImage, EngineImage
from builder.recipe.fetched import ImageFilesComponent, PublishedChart, UrlComponent
from builder.recipe.model import (
    CHARTS,
    AssembleImage,
    Chart,
    CompileComponent,
    Component,
    DebComponent,
    FileComponent,
    GoComponent,
    Recipe,
    UserlandComponent,
)
from builder.recipe.taken import MirrorImage
from builder.steps import (
    chart,
    compile,
    deb,
    elsewhere,
    file,
    go,
    image,
    imagefiles,
    layer,
    licences,
    publishedchart,
    render,
    url,
    userland,
)
from builder.steps import mirror as mirrored
from builder.steps.context import Job, LightJob
from bundles.digest import Digest
from bundles.platform import Platform

_GO_PROGRAM = 40_000_000  # bytes: between crictl's 28 and kubelet's 84 MB
_C_PROGRAM = 1_000_000

Sizes = Mapping[str, Mapping[str, int]]  # bytes by component and output


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The building machine: its platform, the lock for it, and its tools by component name (see steps.tools)."""

    platform: Platform
    lock: Lock
    tools: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A step in the plan: its content id, and whether the store has it."""

    step: Step
    id: Digest
    cached: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All jobs in an order where needs come first, and their rows; `receipts` by content id, where they were read."""

    jobs: tuple[Job | LightJob, ...]
    rows: Mapping[str, Row]
    receipts: Mapping[Digest, Receipt] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def missing(self) -> tuple[Job | LightJob, ...]:
        """Jobs that have to run."""
        return tuple(job for job in self.jobs if not self.rows[job.step.name].cached)

    @property
    def seconds(self) -> int:
        """Estimate for what is missing, one after the other."""
        return sum(step.seconds for step in self._once)

    @property
    def size(self) -> int:
        """Estimated bytes that what is missing adds to the store."""
        return sum(step.size for step in self._once)

    @property
    def _once(self) -> Iterable[Step]:
        """The missing steps, those of one content id (a layer of two images) once: the second finds the receipt."""
        return {self.rows[job.step.name].id: job.step for job in self.missing}.values()


def make_jobs(
    recipe: Recipe,
    lock: Lock,
    platform: Platform,
    tools: Mapping[str, Mapping[str, str]],
    sizes: Sizes = MappingProxyType({}),
    machine: Machine | None = None,
) -> tuple[Job | LightJob, ...]:
    """The jobs of everything that the recipe's archives hold; `tools` by component name (see steps.tools).

    `sizes`: bytes of files, and of outputs that are built already; they make estimates better and decide nothing else.
    `machine`: where this runs, when that is another platform: what the build itself runs is built for it, too.
    Components that no archive asks for are left out. Raises RecipeError where the lock lacks an input.
    """
    charts = {locked.name: locked for locked in lock.charts}
    images = [recipe.images[name] for names in recipe.archives.values() for name in names]
    used = {placement.component for one in images for placements in one.layers for placement in placements}
    used |= {recipe.helm} if recipe.helm and machine is None else set()
    used |= {one.component for one in images if isinstance(one, ArchiveImage) and one.component}
    components = [component for component in recipe.components.values() if component.name in used]
    jobs: list[Job | LightJob] = [
        _component_job(component, recipe, lock, platform, tools.get(component.name, {}), sizes)
        for component in components
    ]
    jobs += [found for each in components if (found := licences.describe(each, _locked(lock, each))) is not None]
    if CHARTS in used:
        jobs += [_chart_job(one, _locked_chart(charts, name), lock.epoch) for name, one in recipe.charts.items()]
        jobs += [licences.describe_chart(one) for one in recipe.charts.values()]
        if recipe.helm:
            helm = recipe.helm
            if machine is not None:
                jobs.append(_for_machine(recipe.components[helm], recipe, machine, sizes))
                helm = jobs[-1].step.name.removeprefix("component ")
            jobs += [render.describe(one, helm) for one in recipe.charts.values()]
    for one in images:
        if isinstance(one, MirrorImage):
            jobs.append(mirrored.describe(one, lock.image(one.name)))
            continue
        if isinstance(one, ArchiveImage | EngineImage):
            jobs.append(elsewhere.describe(one, recipe, lock, platform))
            continue
        jobs += _layer_jobs(one, recipe, lock, sizes)
        jobs.append(image.describe(one, lock.epoch, platform))
    return tuple(jobs)


def content_ids(jobs: Sequence[Job | LightJob]) -> dict[str, Digest]:
    """Jobs, needs first -> content id by step name."""
    ids: dict[str, Digest] = {}
    for job in jobs:
        ids[job.step.name] = content_id(job.step, ids)
    return ids


def make_plan(jobs: Sequence[Job | LightJob], cached: Iterable[Digest]) -> Plan:
    """Jobs and the content ids that the store has -> the plan."""
    known = set(cached)
    ids = content_ids(jobs)
    rows = {
        job.step.name: Row(step=job.step, id=ids[job.step.name], cached=ids[job.step.name] in known) for job in jobs
    }
    return Plan(jobs=tuple(jobs), rows=rows)


def _for_machine(component: Component, recipe: Recipe, machine: Machine, sizes: Sizes) -> Job:
    """A component as the building machine runs it, in a bundle for another platform."""
    tools = machine.tools.get(component.name, {})
    job = _component_job(component, recipe, machine.lock, machine.platform, tools, sizes)
    step = replace(job.step, name=f"{job.step.name} for {machine.platform}")
    return replace(job, step=step, platform=machine.platform)


def _component_job(
    component: Component, recipe: Recipe, lock: Lock, platform: Platform, tools: Mapping[str, str], sizes: Sizes
) -> Job:
    inputs = _locked(lock, component)
    if isinstance(component, UserlandComponent):
        return userland.describe(component, inputs, platform)
    (locked,) = inputs
    if isinstance(component, GoComponent):
        (toolchain,) = (tool for tool in lock.tools if tool.source.startswith("go-toolchain:"))
        return go.describe(component, locked, recipe, platform, toolchain, tools)
    if isinstance(component, CompileComponent):
        return compile.describe(component, locked, lock.epoch, platform, tools)
    if isinstance(component, DebComponent):
        return deb.describe(component, locked, platform)
    if isinstance(component, ImageFilesComponent):
        return imagefiles.describe(component, locked, platform)
    if isinstance(component, UrlComponent):
        return url.describe(component, locked, platform)
    return file.describe(component, locked, size=_size(recipe, component.name, None, sizes))


def _chart_job(one: Chart, locked: LockedChart, epoch: int) -> Job:
    if isinstance(one, PublishedChart):
        return publishedchart.describe(one, locked)
    return chart.describe(one, locked, epoch)


def _layer_jobs(one: AssembleImage, recipe: Recipe, lock: Lock, sizes: Sizes) -> list[Job]:
    return [
        layer.describe(
            one,
            number,
            charts=tuple(recipe.charts),
            epoch=lock.epoch,
            level=recipe.level,
            size=sum(_size(recipe, placement.component, placement.output, sizes) for placement in placements),
        )
        for number, placements in enumerate(one.layers)
    ]


def _size(recipe: Recipe, component: str, output: str | None, sizes: Sizes) -> int:
    """A placement's bytes where the component is built already, else a guess."""
    if component in sizes:
        return sum(size for name, size in sizes[component].items() if output in (None, name))
    found = recipe.components.get(component)
    if found is None or isinstance(found, FileComponent):
        return 0
    each = _GO_PROGRAM if isinstance(found, GoComponent) else _C_PROGRAM
    return each * (1 if output else len(found.outputs))


def _locked(lock: Lock, component: Component) -> tuple[LockedInput, ...]:
    if found := lock.of(component.name):
        return found
    raise RecipeError("not in the lock", where=f"component {component.name}", hint="run sealift lock")


def _locked_chart(charts: Mapping[str, LockedChart], name: str) -> LockedChart:
    try:
        return charts[name]
    except KeyError as exc:
        raise RecipeError("not in the lock", where=f"chart {name}", hint="run sealift lock") from exc
