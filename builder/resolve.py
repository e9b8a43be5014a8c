"""From a recipe to its lock: every moving part gets its one content.

What the old lock pins already is kept when its source did not change: a lock moves only where the recipe moves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from builder.buildroot.cross import machine_of
from builder.buildroot.locking import lock_buildroot
from builder.errors import RecipeError
from builder.lock.base import base_lock, with_base
from builder.lock.difference import difference
from builder.lock.elsewhere import lock_image_sources
from builder.lock.fresh import same_packages, wanted_source
from builder.lock.images import LockedImage
from builder.lock.imagesources import LockedImageSource
from builder.lock.model import Lock, LockedChart, LockedInput, LockedTool
from builder.lock.perplatform import lock_for, together
from builder.lock.published import Publishing, of_url
from builder.lock.text import format_lock, input_order
from builder.mirror.locking import lock_mirrored
from builder.platforms import recipe_for
from builder.process import Cancel
from builder.reach import Reach
from builder.recipe.digest import recipe_digest
from builder.recipe.fetched import ImageFilesComponent, PublishedChart, UrlComponent
from builder.recipe.model import (
    CompileComponent,
    Component,
    DebComponent,
    FileComponent,
    FolderChart,
    GoComponent,
    Recipe,
    UserlandComponent,
)
from builder.recipe.read import LOCK
from builder.sources import golock, local
from builder.sources.apt import AptClient
from builder.sources.charts import Charts, lock_charts
from builder.sources.deb import SOURCE_PREFIX as DEB_SOURCE
from builder.sources.deb import lock_package, lock_userland
from builder.sources.go import SOURCE_PREFIX, TOOL_PREFIX, GoModules, wanted_tool, with_toolchain
from builder.sources.goclient import GoClient
from builder.sources.verified import Verified
from builder.store import Store
from bundles.files import os_errors, write_atomic
from bundles.platform import Platform

SAME_VERSION: Final = "--same-version"
_OWN: Final = (DebComponent, UserlandComponent, ImageFilesComponent, UrlComponent)  # each platform has its own


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolveOptions:
    """How a lock is made.

    `now` in seconds becomes the epoch when something changed. `refresh` resolves again what the old lock pins, to show
    drift; `tags` asks registries anew what the tags of mirrored images stand for, and keeps all else that is pinned.
    `same_version` allows other content under the same bundle version. `host` is the machine's platform, `env`
    its environment, `say` tells a line of progress.
    """

    store: Store
    host: Platform
    env: Mapping[str, str] = field(repr=False)
    now: int
    refresh: bool = False
    tags: bool = False
    same_version: bool = False
    reach: Reach = field(default_factory=Reach)
    say: Callable[[str], None] = lambda _: None
    cancel: Cancel = field(default_factory=Cancel)


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """A lock, whether it differs from the old one, and files beside the recipe that go with it (path -> bytes)."""

    lock: Lock
    changed: bool
    files: Mapping[PurePosixPath, bytes]


def resolve(recipe: Recipe, old: Lock | None, options: ResolveOptions) -> Resolution:
    """Recipe and its old lock -> the new one; writes nothing but the store.

    An unchanged lock keeps its epoch; that of a derived recipe has its base's. Raises RecipeError when content changed
    and the bundle's version did not, and what the sources raise.
    """
    base = base_lock(recipe.base)
    platforms = [_resolver(recipe, platform, old, base, options) for platform in recipe.platforms]
    resolver = platforms[0]
    epoch = base.epoch if base is not None else options.now
    tools = resolver.tools()
    inputs = together(each.inputs(first=each is resolver) for each in platforms)
    images = together(each.images() for each in platforms)
    lock = Lock(
        recipe=recipe_digest(recipe),
        bundle=f"{recipe.name}@{recipe.version}",
        epoch=old.epoch if old is not None and base is None else epoch,
        tools=tools,
        buildroot=resolver.buildroot(),
        inputs=tuple(sorted(inputs, key=input_order)),
        charts=resolver.charts(),
        images=images,
        image_sources=resolver.image_sources(),
    )
    if old is not None and (lock == old or format_lock(lock) == format_lock(old)):
        return Resolution(lock=old, changed=False, files=resolver.files)
    if old is not None and old.bundle == lock.bundle and not (options.same_version or options.refresh):
        raise RecipeError(
            f"the content changes, but the version stays {recipe.version}: nodes would take it for what they have",
            where=recipe.folder / "bundle.yaml",
            got="".join(f"\n    {line}" for line in difference(old, lock)),
            hint=f"raise `version` and `sequence`; or, while nobody has this version, give {SAME_VERSION}",
        )
    return Resolution(lock=replace(lock, epoch=epoch), changed=True, files=resolver.files)


def write(resolution: Resolution, folder: Path) -> None:
    """Writes what a resolution made beside the recipe; lock.yaml last: a crash before leaves a lock that is refused."""
    for below, data in resolution.files.items():
        with os_errors(folder / below):
            (folder / below).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / below, data)
    if resolution.changed:
        write_atomic(folder / LOCK, format_lock(resolution.lock).encode())


def _resolver(
    recipe: Recipe, platform: Platform, old: Lock | None, base: Lock | None, options: ResolveOptions
) -> "_Resolver":
    """For one of a recipe's platforms, with what the old lock and the base's have for it."""
    own = recipe_for(recipe, platform)
    before, theirs = (lock_for(each, platform) if each is not None else None for each in (old, base))
    if before is not None and before.recipe == recipe_digest(recipe):
        before = replace(before, recipe=recipe_digest(own))
    return _Resolver(recipe, own, None if options.refresh else with_base(own, before, theirs), options)


class _Resolver:
    """One run: clients, the old lock's entries, the files to write."""

    def __init__(self, whole: Recipe, recipe: Recipe, old: Lock | None, options: ResolveOptions) -> None:
        """`whole` is the recipe with all its platforms, `recipe` the same for one."""
        self._whole = whole
        self.files: dict[PurePosixPath, bytes] = {}
        self._updated = False
        self._recipe = recipe
        self._options = options
        self._old_tools = {tool.source: tool for tool in old.tools} if old is not None else {}
        self._lock = old
        self._old = {each.component: each for each in old.inputs} if old is not None else {}
        self._published = Publishing(
            recipe=recipe, old=old, store=options.store, env=options.env, say=options.say, cancel=options.cancel,
            reach=options.reach,
        )  # fmt: skip
        client = GoClient(store=options.store, host_env=options.env, cancel=options.cancel)
        self._modules = GoModules(client, Verified(options.store))
        self._toolchain = with_toolchain(self._modules, recipe, options.host)
        self._apt = AptClient(
            store=options.store,
            host_env=options.env,
            architecture=recipe.platforms[0].architecture,
            cancel=options.cancel,
        )

    def tools(self) -> tuple[LockedTool, ...]:
        """The toolchain that the recipe names; it is fetched, because it resolves the rest."""
        version = self._recipe.go
        if version is None:
            return ()
        tool = self._old_tools.get(f"{TOOL_PREFIX}{version}")
        if tool is None:
            self._options.say(f"locking {TOOL_PREFIX}{version}")
            tool = golock.lock_tool(self._modules, version, self._options.host)
        wanted = wanted_tool(self._modules, tool, self._options.host)
        needed = any(isinstance(component, GoComponent) for component in self._recipe.components.values())
        if needed and not wanted.present():
            wanted.fetch()
        return (tool,)

    def charts(self) -> tuple[LockedChart, ...]:
        """Those beside the recipe, and those that somebody publishes."""
        found = self._recipe.charts
        folders = [local.lock_chart(self._recipe, one) for one in found.values() if isinstance(one, FolderChart)]
        others = {name: one for name, one in found.items() if isinstance(one, PublishedChart)}
        old = {each.name: each for each in self._lock.charts} if self._lock is not None else {}
        options = self._options
        charts = Charts(store=options.store, reach=options.reach, env=options.env, cancel=options.cancel)
        return tuple(sorted((*folders, *lock_charts(charts, others, old, options.say)), key=lambda each: each.name))

    def buildroot(self) -> tuple[LockedInput, ...]:
        """The packages that C is compiled in."""
        old = self._lock.buildroot if self._lock is not None else ()
        apt = replace(self._apt, architecture=machine_of(old) or self._options.host.architecture)
        if self._whole.buildroot is not None:
            self._renew_lists()
        return lock_buildroot(apt, self._whole, old, self._options.say, renew=self._options.refresh)

    def image_sources(self) -> tuple[LockedImageSource, ...]:
        """Archives and Containerfiles beside the recipe."""
        options = self._options
        return lock_image_sources(self._recipe, self._lock, options.reach, options.env, options.cancel, options.say)

    def images(self) -> tuple[LockedImage, ...]:
        """Those that are taken over from registries."""
        options = self._options
        return lock_mirrored(
            self._recipe, self._lock, options.store, options.reach, options.env, options.cancel, options.say,
            tags=options.tags,
        )  # fmt: skip

    def inputs(self, *, first: bool) -> tuple[LockedInput, ...]:
        """Those of all components; but for the first platform only of those that differ between platforms."""
        components = [each for each in self._recipe.components.values() if first or isinstance(each, _OWN)]
        return tuple(each for component in components for each in self.lock(component))

    def lock(self, component: Component) -> tuple[LockedInput, ...]:
        """One component's entries."""
        self._options.cancel.check()
        if isinstance(component, UserlandComponent):
            return self._lock_userland(component)
        return (self._lock_one(component),)

    def _lock_one(self, component: Component) -> LockedInput:
        if isinstance(component, GoComponent):
            self._options.say(f"locking {component.name}")
            return self._lock_go(component)
        if isinstance(component, FileComponent):
            return local.lock_file(self._recipe, component.name, component.path)
        if isinstance(component, CompileComponent) and wanted_source(component).startswith("folder:"):
            folder = PurePosixPath(wanted_source(component).removeprefix("folder:"))
            return local.lock_folder(self._recipe, component.name, folder)
        if isinstance(component, UserlandComponent):
            raise TypeError(component)  # it has several entries
        if isinstance(component, ImageFilesComponent):
            return self._published.lock_image(component)
        if isinstance(component, UrlComponent) or (isinstance(component, CompileComponent) and of_url(component)):
            return self._published.lock(component)
        return self._kept(component) or self._lock_fetched(component)

    def _lock_go(self, component: GoComponent) -> LockedInput:
        old = self._old.get(component.name)
        if component.module is None:
            return golock.lock_folder(self._toolchain, self._whole, component, old)
        made = golock.lock_component(self._toolchain, self._whole, component, old)
        self.files.update(made.files)
        return made.locked

    def _kept(self, component: Component) -> LockedInput | None:
        """The old entry of a component whose source did not change."""
        old = self._old.get(component.name)
        if old is None:
            return None
        kind, _, rest = old.source.partition(":")
        without_suite = f"{kind}:{rest.partition('/')[2]}" if kind in ("deb", "deb-source") else old.source
        return old if wanted_source(component) in (old.source, without_suite) else None

    def _lock_userland(self, component: UserlandComponent) -> tuple[LockedInput, ...]:
        old = self._lock.of(component.name) if self._lock is not None else ()
        if old and same_packages(component, old):
            return old
        self._options.say(f"locking {component.name}")
        self._renew_lists()
        return lock_userland(self._apt, component.name, component.packages)

    def _renew_lists(self) -> None:
        if self._options.refresh and not self._updated:
            self._apt.update()
            self._updated = True

    def _lock_fetched(self, component: CompileComponent | DebComponent) -> LockedInput:
        source = wanted_source(component)
        self._options.say(f"locking {source}")
        if source.startswith(SOURCE_PREFIX):
            return golock.lock_source(self._modules, component.name, source)
        self._renew_lists()
        kind, _, package = source.partition(":")
        return lock_package(self._apt, component.name, package, source=f"{kind}:" == DEB_SOURCE)
