"""A whole build, from a recipe's folder to a bundle's folder. `build` reads as the table of contents."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from builder.against import Against, Confirmed, confirm, refuse_other_lock
from builder.askers import Asker, askers, check_images
from builder.assemble import BuiltImage, BundleSpec
from builder.budget import check_budget
from builder.deliver import deliver, refuse_other_content
from builder.describe.receipts import BuildFacts, component_of
from builder.errors import RecipeError
from builder.inputs.archive import InputArchive
from builder.inputs.bring import bring_images
from builder.lock.fresh import check_fresh
from builder.lock.model import Lock
from builder.lock.perplatform import lock_for
from builder.lock.text import format_lock, read_lock
from builder.mirror.assembled import taken_image
from builder.mirror.bring import bringer
from builder.mirror.kept import KeptArchives
from builder.plan.graph import Machine, Plan, content_ids, make_jobs, make_plan
from builder.plan.model import Receipt
from builder.platforms import refuse_other_machine, view
from builder.process import Cancel
from builder.progress import BuildTalk
from builder.reach import Reach
from builder.recipe.elsewhere import ArchiveImage, EngineImage
from builder.recipe.model import FileComponent, Recipe
from builder.recipe.places import beside
from builder.recipe.read import read_recipe
from builder.recipe.taken import MirrorImage
from builder.run import run_missing
from builder.sandbox import Sandbox, detect
from builder.space import check_space, estimate
from builder.steps.elsewhere import elsewhere_image
from builder.steps.image import CONFIG, MANIFEST
from builder.steps.layer import framed_layer, layer_name
from builder.steps.tools import component_tools
from builder.store import Store
from builder.summary import plan_lines, summary_lines
from builder.times import Times
from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.index import BundleIndex, Chart
from bundles.platform import Platform

if TYPE_CHECKING:
    from bundles.policy.model import Policy

_DAY = 86_400  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOptions:
    """`host` is the machine's own platform, `env` its environment; `jobs` at least 1; `inputs` as FetchOptions.

    `platform`: which of a recipe's, None where it has one.
    """

    output: Path
    store: Store
    talk: BuildTalk
    host: Platform
    env: Mapping[str, str] = field(repr=False)
    jobs: int = 2
    offline: bool = False
    inputs: InputArchive | None = None
    require_sandbox: bool = False
    replace: bool = False
    check: bool = False
    quick: bool = False
    policy: "Policy | None" = None
    reach: Reach = field(default_factory=Reach)
    against: Against | None = None
    platform: Platform | None = None
    cancel: Cancel = field(default_factory=Cancel)
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """The finished bundle: its folder, its index, and whether it had to be written.

    With `against`: the given bundle, and that it is `confirmed`.
    """

    folder: Path
    index: BundleIndex
    written: bool
    confirmed: Confirmed | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """A recipe and the lock that belongs to it; `digest` is that of the lock's one text.

    `whole`: of all platforms, where recipe and lock are looked at for one.
    """

    recipe: Recipe
    lock: Lock
    digest: Digest
    whole: Lock | None = None

    def of(self, platform: Platform) -> "Sources":
        """The same for one platform alone."""
        recipe, lock = view(self.recipe, self.lock, platform)
        return Sources(recipe=recipe, lock=lock, digest=self.digest, whole=self.lock)


def build(recipe_folder: Path, options: BuildOptions, sources: Sources | None = None) -> Built:
    """Recipe folder -> bundle folder below `options.output`; `sources` where they were read just now.

    Raises RecipeError for a wrong recipe or a stale lock, StepError for failed steps, SealiftError for a full disk.
    Whatever was finished before an error is kept in the store: the next build goes on from there.
    """
    started = options.clock()
    sources = sources or read_sources(recipe_folder)
    platform = options.platform or one_platform(sources.recipe)
    sources = sources.of(platform)
    refuse_other_machine(sources.recipe, sources.lock, options.host)
    if options.against is None:
        refuse_other_content(options.output, sources.recipe, platform, sources.digest, replace=options.replace)
    else:
        refuse_other_lock(options.against.bundle, sources.digest)
    _tidy(options.store)
    with _sharing(options):
        plan = plan_build(sources, platform, options.store, options.env, options.host)
        space = estimate(plan, options.store)
        for line in plan_lines(sources.recipe, plan, space, options.jobs, Times(options.store).of(plan.rows)):
            options.talk.say(line)
        if plan.missing:
            check_space(space, options.store.root, options.output)
        _check_policy(sources.lock, options)
        sandbox = _sandbox(options)
        _fetch(plan, sources, options)
        receipts, seconds = run_missing(plan, sources.recipe, sources.lock, platform, sandbox, options)
        check_images(sources.recipe, receipts)
        spec = bundle_spec(sources, platform, plan, receipts)
        check_budget(spec, sources.recipe.budget, options.store)
        if options.against is not None:
            return confirmed(spec, options.against, options)
        folder, index, written = deliver(spec, options)
        if options.check:
            from builder.again import check_again  # with all that explains differences

            check_again(sources, receipts, index, sandbox, options)
    cached = len(plan.rows) - len(seconds)
    for line in summary_lines(index, seconds, cached, options.clock() - started, Times(options.store).of(seconds)):
        options.talk.say(line)
    if not written:
        options.talk.say("  unchanged: the bundle was there already")
    return Built(folder=folder, index=index, written=written)


def confirmed(spec: BundleSpec, against: Against, options: BuildOptions) -> Built:
    """The given bundle, once it is known to be what this machine builds."""
    found = confirm(spec, against, options)
    return Built(folder=against.bundle, index=found.document, written=False, confirmed=found)


def read_sources(recipe_folder: Path) -> Sources:
    """Recipe and lock of a folder, the lock checked to be this recipe's; raises RecipeError with the difference."""
    return sources_of(read_recipe(recipe_folder), read_lock(recipe_folder))


def sources_of(recipe: Recipe, lock: Lock) -> Sources:
    """The same of a recipe and a lock that are read already, or were made just now."""
    check_fresh(recipe, lock)
    return Sources(recipe=recipe, lock=lock, digest=Digest.of(format_lock(lock).encode()))


def plan_build(
    sources: Sources, platform: Platform, store: Store, env: Mapping[str, str], host: Platform | None = None
) -> Plan:
    """What a build of these sources for one platform would do here; `host` is this machine, None for that platform."""
    tools = component_tools(sources.recipe, sources.lock, platform, env)
    machine = _machine(sources, platform, host, env)
    jobs = make_jobs(sources.recipe, sources.lock, platform, tools, machine=machine)
    found = {step: receipt for step in content_ids(jobs).values() if (receipt := store.receipt(step)) is not None}
    if len(found) < len(jobs):
        # Once more, with the sizes of what is there: no identity depends on them, minutes and bytes do.
        jobs = make_jobs(
            sources.recipe, sources.lock, platform, tools, _sizes(sources.recipe, content_ids(jobs), found), machine
        )
    return replace(make_plan(jobs, found), receipts=found)


def _machine(sources: Sources, platform: Platform, host: Platform | None, env: Mapping[str, str]) -> Machine | None:
    """What builds programs that this machine runs itself, where the bundle is for another one."""
    if sources.recipe.helm is None or host in (None, platform):
        return None
    lock = lock_for(sources.whole or sources.lock, host)
    helm = {sources.recipe.helm: sources.recipe.components[sources.recipe.helm]}
    tools = component_tools(replace(sources.recipe, components=helm), lock, host, env)
    return Machine(platform=host, lock=lock, tools=tools)


def _sizes(recipe: Recipe, ids: Mapping[str, Digest], found: Mapping[Digest, Receipt]) -> dict[str, dict[str, int]]:
    """Bytes of the outputs of finished components, and of files beside the recipe."""
    sizes = {
        component.name: {component.path.name: beside(recipe, component.path).stat().st_size}
        for component in recipe.components.values()
        if isinstance(component, FileComponent)
    }
    for name, step in ids.items():
        if name.startswith("component ") and step in found:
            outputs = found[step].outputs
            sizes[name.removeprefix("component ")] = {key: output.size for key, output in outputs.items()}
    return sizes


def bundle_spec(sources: Sources, platform: Platform, plan: Plan, receipts: Mapping[str, Receipt]) -> BundleSpec:
    """A plan and its receipts by step name -> all that decides the bundle's bytes."""
    recipe, lock = sources.recipe, sources.lock
    asked = askers(recipe, receipts)
    images = {name: _built_image(recipe, name, receipts, asked) for names in recipe.archives.values() for name in names}
    charts = (
        [
            Chart(
                name=chart.manifest_name,
                version=receipts[f"chart {name}"].facts["version"],
                sha256=receipts[f"chart {name}"].outputs[receipts[f"chart {name}"].facts["archive"]].digest,
            )
            for name, chart in recipe.charts.items()
            if f"chart {name}" in receipts
        ]
        if recipe.charts
        else []
    )
    return BundleSpec(
        name=recipe.name,
        version=recipe.version,
        flavour=str(recipe.flavour),
        sequence=recipe.sequence,
        platform=platform,
        epoch=lock.epoch,
        lock=sources.digest,
        runtime=images[recipe.runtime],
        archives={name: tuple(images[image] for image in names) for name, names in recipe.archives.items()},
        charts=tuple(charts),
        choices=recipe.choices,
        facts=BuildFacts(
            recipe=recipe,
            lock=lock,
            lock_digest=sources.digest,
            platform=platform,
            steps={job.step.name: job.step for job in plan.jobs},
            ids={name: row.id for name, row in plan.rows.items()},
            receipts=receipts,
            sealift=version("sealift"),
        ),
        expires=lock.epoch + recipe.expires_days * _DAY if recipe.expires_days else None,
    )


def _built_image(
    recipe: Recipe, name: str, receipts: Mapping[str, Receipt], everybody: Mapping[str, Sequence[Asker]]
) -> BuiltImage:
    """`everybody` says who asks for which image, where that was found out."""
    image = recipe.images[name]
    documents = receipts[f"image {name}"].facts["documents"]
    if isinstance(image, MirrorImage):
        return taken_image(image, documents, everybody)
    asked = everybody.get(image.reference.name, ())
    if isinstance(image, ArchiveImage | EngineImage):
        return elsewhere_image(image, documents, asked)
    return BuiltImage(
        reference=image.reference,
        manifest=documents[MANIFEST].encode(),
        config=documents[CONFIG].encode(),
        layers=tuple(framed_layer(receipts[layer_name(image, number)]) for number in range(len(image.layers))),
        why="runtime" if name == recipe.runtime else ", ".join(dict.fromkeys(one.name for one in asked)) or "recipe",
    )


def one_platform(recipe: Recipe) -> Platform:
    """The recipe's platform; raises RecipeError for several: each has a bundle of its own."""
    if len(recipe.platforms) != 1:
        raise RecipeError("one platform for each build", where=recipe.folder, got=", ".join(map(str, recipe.platforms)))
    return recipe.platforms[0]


@contextlib.contextmanager
def _sharing(options: BuildOptions) -> Iterator[None]:
    """Holds the store together with other builds; says so when somebody has it alone, and waits."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(options.store.lock(wait=False))
        except SealiftError as exc:
            if not isinstance(exc.__cause__, BlockingIOError):
                raise
            options.talk.say(f"waiting: another sealift has {options.store.root} to itself")
            held.enter_context(options.store.lock())
        yield


def _tidy(store: Store) -> None:
    """What killed builds and replaced bundles left goes, unless another build is at work."""
    with contextlib.suppress(SealiftError), store.lock(exclusive=True, wait=False):
        store.tidy()
        KeptArchives(store).drop_replaced()


def _check_policy(lock: Lock, options: BuildOptions) -> None:
    """What the policy asks of mirrored images, before anything of them is taken; raises TrustError."""
    if options.policy is not None:
        from builder.mirror.upstream import check_signatures

        count = check_signatures(options.policy, bringer(lock, options))
        options.talk.say(f"policy {options.policy.name}: {count} mirrored images are signed as it asks")


def _sandbox(options: BuildOptions) -> Sandbox:
    sandbox = detect({"PATH": options.env.get("PATH", "")})
    if options.require_sandbox:
        sandbox.require()
    if not sandbox.isolated:
        options.talk.say("warning: this machine allows no network namespace: steps could reach the network")
    return sandbox


def _fetch(plan: Plan, sources: Sources, options: BuildOptions) -> None:
    """Only what steps that will run are made of."""
    if options.inputs is not None:
        bring_images(options.inputs, sources.lock, options)
    bringer(sources.lock, options).documents(job.step.name.removeprefix("image ") for job in plan.missing)
    missing = {component_of(job.step.name) for job in plan.missing}
    charts = {f"chart {each.name}" for each in sources.lock.charts if each.source}
    # A Go module beside the recipe wants a toolchain too.
    wanted = ({each.component for each in sources.lock.inputs} | charts) & missing
    if wanted:
        from builder.fetch import FetchOptions, fetch

        fetching = FetchOptions(
            store=options.store,
            host=options.host,
            env=options.env,
            offline=options.offline,
            reach=options.reach,
            inputs=options.inputs,
            say=options.talk.say,
            cancel=options.cancel,
        )
        fetch(sources.recipe, sources.lock, fetching, wanted)


def default_jobs() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0))
