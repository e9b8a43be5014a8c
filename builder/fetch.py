"""Everything a build reads, brought into the store and verified, so that its steps need no network.

What was verified before and looks untouched is not looked at again (builder.sources.verified). Clients keep what is
whole, so after a crash the same call goes on from there.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from builder.buildroot.fetching import WantedRoot, root_client
from builder.errors import StepError
from builder.inputs.archive import InputArchive
from builder.inputs.bring import bring
from builder.lock.imagetext import MIRROR
from builder.lock.model import Lock, LockedInput
from builder.mirror.bring import Bringer, all_layers
from builder.process import Cancel, Cancelled
from builder.reach import Reach
from builder.recipe.crypto import uses_c
from builder.recipe.model import CompileComponent, GoComponent, Recipe
from builder.recipe.places import beside
from builder.recipe.urlkind import URL_SOURCE
from builder.sources.apt import AptClient
from builder.sources.charts import Charts
from builder.sources.deb import BINARY_PREFIX, WantedPackage
from builder.sources.deb import SOURCE_PREFIX as DEB_SOURCE
from builder.sources.go import (
    SOURCE_PREFIX,
    TOOL_PREFIX,
    GoModules,
    WantedComponent,
    wanted_source,
    wanted_tool,
    with_toolchain,
)
from builder.sources.goclient import GoClient
from builder.sources.imagefiles import IMAGE_SOURCE, Images
from builder.sources.url import wanted_url
from builder.sources.verified import Verified
from builder.store import Store
from bundles.errors import MissingError, SealiftError
from bundles.platform import Platform
from bundles.talk import Progress, SilentProgress

_TOGETHER: Final = 4  # sources at once: the clients fetch several files each by themselves


class Wanted(Protocol):
    """A source that a build needs."""

    @property
    def name(self) -> str:
        """As in the lock, or the component's name."""

    def present(self) -> bool:
        """Whether it was fetched, verified, and looks untouched. Fast."""

    def fetch(self) -> None:
        """Brings and verifies it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchOptions:
    """`host` is the building machine's platform, `env` our environment, `say` tells a line of progress.

    `inputs` is an archive that is asked before anybody else; nobody else when `offline`.
    """

    store: Store
    host: Platform
    env: Mapping[str, str] = field(repr=False)
    offline: bool = False
    reach: Reach = field(default_factory=Reach)
    progress: Progress = field(default_factory=SilentProgress)
    inputs: InputArchive | None = None
    say: Callable[[str], None] = lambda _: None
    cancel: Cancel = field(default_factory=Cancel)


def fetch(
    recipe: Recipe, lock: Lock, options: FetchOptions, components: Collection[str] | None = None
) -> tuple[str, ...]:
    """Brings the locked inputs of `components` (all when None) into the store; returns the names of what was missing.

    Raises MissingError that names everything missing when `options.offline`; FormatError for bytes that are not the
    locked ones; StepError or MissingError for what cannot be fetched; Cancelled.
    """
    inputs = [each for each in lock.inputs if components is None or each.component in components]
    tools, sources = wanted(recipe, lock, inputs, options)
    missing_tools = [each for each in tools if not each.present()]
    missing = [each for each in (*sources, *wanted_charts(lock, options, components)) if not each.present()]
    if options.inputs is not None:
        bring(options.inputs, recipe, lock, {each.name for each in (*missing_tools, *missing)}, options)
    # Tools first: they fetch and check the rest.
    errors = _fetch_all(missing_tools, options)
    if not errors or options.offline:
        errors |= _fetch_all(missing, options)
    _raise(errors, options.offline and options.inputs is None)
    return tuple(each.name for each in [*missing_tools, *missing])


def fetch_images(lock: Lock, options: FetchOptions) -> tuple[str, ...]:
    """Brings all of the images that are mirrored, documents and layers; returns the sources and digests of what was
    missing. Raises as `fetch`.
    """
    bring = Bringer(
        images=lock.images, store=options.store, reach=options.reach, env=options.env, offline=options.offline,
        progress=options.progress, say=options.say, cancel=options.cancel,
    )  # fmt: skip
    mirrored = [each for each in lock.images if each.source.startswith(MIRROR)]
    documents = bring.documents(each.image for each in mirrored)
    return (*documents, *(str(layer.digest) for layer in bring.layers(all_layers(mirrored))))


def wanted(
    recipe: Recipe, lock: Lock, inputs: Sequence[LockedInput], options: FetchOptions
) -> tuple[list[Wanted], list[Wanted]]:
    """The toolchains and build root, and the sources behind locked inputs but for what lies beside the recipe."""
    modules = go_modules(options)
    tools: list[Wanted] = []
    if any(isinstance(recipe.components.get(each.component), GoComponent) for each in inputs):
        found = [tool for tool in lock.tools if tool.source.startswith(TOOL_PREFIX)]
        tools = [wanted_tool(modules, tool, options.host) for tool in found]
    apt = AptClient(
        store=options.store,
        host_env=options.env,
        architecture=recipe.platforms[0].architecture,
        offline=options.offline,
        cancel=options.cancel,
    )
    through = with_toolchain(modules, recipe, options.host)
    kinds = {type(recipe.components.get(each.component)) for each in inputs}
    if lock.buildroot and kinds & {CompileComponent, GoComponent}:
        tools.append(
            WantedRoot(client=root_client(apt, lock.buildroot), verified=modules.verified, packages=lock.buildroot)
        )
    sources: dict[str, Wanted] = {}  # by name: two components may be made of one source
    for each in inputs:
        source = _wanted(recipe, each, modules, through, apt, options)
        if source is not None:
            sources[source.name] = source
    return tools, list(sources.values())


def wanted_charts(lock: Lock, options: FetchOptions, names: Collection[str] | None = None) -> list[Wanted]:
    """The published charts of a lock: all, or those whose steps (`chart NAME`) are among `names`."""
    charts = Charts(store=options.store, reach=options.reach, env=options.env, cancel=options.cancel)
    return [
        charts.wanted(each, offline=options.offline)
        for each in lock.charts
        if each.source and (names is None or f"chart {each.name}" in names)
    ]


def go_modules(options: FetchOptions) -> GoModules:
    """The modules of the store, by way of the machine's go: from the input archive first, where there is one."""
    client = GoClient(store=options.store, host_env=options.env, offline=options.offline, cancel=options.cancel)
    if options.inputs is not None:
        proxy = options.inputs.proxy
        client = replace(client, proxies=proxy if options.offline else f"{proxy},{client.setting('GOPROXY')}")
    return GoModules(client, Verified(options.store))


def _wanted(
    recipe: Recipe, each: LockedInput, modules: GoModules, through: GoModules, apt: AptClient, options: FetchOptions
) -> Wanted | None:
    component = recipe.components[each.component]
    if isinstance(component, GoComponent):
        if each.sum is None:
            return None
        return WantedComponent(
            name=component.name,
            modules=through,
            component=component,
            locked=each,
            folder=beside(recipe, each.sum.folder),
            platforms=recipe.platforms,
            cgo=uses_c(component, recipe),
        )
    if each.source.startswith(SOURCE_PREFIX):
        return wanted_source(modules, each)
    if each.source.startswith(IMAGE_SOURCE):
        images = Images(store=options.store, reach=options.reach, env=options.env, cancel=options.cancel)
        return images.wanted(each, offline=options.offline)
    if each.source.startswith(URL_SOURCE):
        return wanted_url(each, options.store, options.reach, options.env, options.cancel, offline=options.offline)
    if each.source.startswith((DEB_SOURCE, BINARY_PREFIX)):
        return WantedPackage(name=each.source, client=apt, verified=modules.verified, files=each.files)
    return None


def _fetch_all(missing: Sequence[Wanted], options: FetchOptions) -> dict[str, SealiftError]:
    """Fetches several at once; returns what failed. Work that is under way when one fails goes on: it is kept."""
    if not missing:
        return {}
    errors: dict[str, SealiftError] = {}
    with ThreadPoolExecutor(max_workers=_TOGETHER) as pool:
        futures = [(each, pool.submit(_fetch_one, each, options)) for each in missing]
        try:
            for each, future in futures:
                if (error := _failure(future)) is not None:
                    errors[each.name] = error
        except BaseException:
            options.cancel.cancel()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return errors


def _failure(future: "Future[None]") -> SealiftError | None:
    try:
        future.result()
    except Cancelled:
        raise
    except SealiftError as exc:
        return exc
    return None


def _fetch_one(each: Wanted, options: FetchOptions) -> None:
    options.cancel.check()
    started = time.monotonic()
    if not options.offline:
        options.say(f"fetching {each.name}")
    each.fetch()
    options.say(f"fetched and verified {each.name} in {time.monotonic() - started:.1f} s")


def _raise(errors: Mapping[str, SealiftError], offline: bool) -> None:
    if not errors:
        return
    # Anything but "it is not here" (wrong bytes, a stale lock) is told as it is, offline too.
    others = {name: error for name, error in errors.items() if not (offline and _is_missing(error))}
    if not others:
        names = "".join(f"\n    {name}" for name in errors)
        raise MissingError(
            "not everything is in the store, and this build is offline",
            got=f"missing:{names}",
            hint="run it once without --offline, or bring a store that has them (SEALIFT_STORE)",
        )
    if len(others) == 1:
        raise next(iter(others.values()))
    rows = "\n".join(str(error) for error in others.values())
    raise StepError(f"{len(others)} sources cannot be fetched:\n{rows}")


def _is_missing(error: SealiftError) -> bool:
    # Offline, go fails in its own words when a module is not in the cache.
    return isinstance(error, (MissingError, StepError))
