"""A small world for everything that fetches Go modules: a proxy folder, a store, a recipe, no network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from builder.fetch import FetchOptions
from builder.recipe.model import Component, Flavour, GoComponent, Recipe
from builder.resolve import ResolveOptions
from builder.store import Store
from bundles.platform import Platform
from tests.support.gotools import go_program
from tests.support.programs import FakePrograms, ModuleProxy, serve_application, serve_toolchain

HOST = Platform(os="linux", architecture="amd64")
TOOLCHAIN = "1.99.0"
APP = GoComponent(
    name="app",
    module="example.test/app",
    version="v1.2.0",
    folder=None,
    packages={"app": "cmd/app"},
    replace={"example.test/lib/*": "v1.0.0"},
)


@dataclass
class GoLab:
    """`said` collects the lines of progress."""

    root: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        serve_application(self.proxy)
        serve_toolchain(self.proxy, TOOLCHAIN, go_program())
        self.programs.add("go", f'exec {go_program()} "$@"')
        (self.root / "recipe").mkdir()

    @property
    def proxy(self) -> ModuleProxy:
        return ModuleProxy(self.root / "proxy")

    @property
    def programs(self) -> FakePrograms:
        return FakePrograms(self.root / "programs")

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    @property
    def environment(self) -> dict[str, str]:
        return self.programs.environment(GOPROXY=self.proxy.url, GOSUMDB="off", GOENV="off")

    def recipe(self, components: Mapping[str, Component] | None = None, *, version: str = "v1.0.0") -> Recipe:
        return Recipe(
            folder=self.root / "recipe",
            name="lab",
            version=version,
            flavour=Flavour.MODERN,
            sequence=1,
            platforms=(HOST,),
            components={"app": APP} if components is None else components,
            images={},
            charts={},
            archives={},
            runtime="none",
            go=TOOLCHAIN,
        )

    def fetching(self, *, offline: bool = False) -> FetchOptions:
        return FetchOptions(store=self.store, host=HOST, env=self.environment, offline=offline, say=self.said.append)

    def resolving(self, now: int, *, refresh: bool = False, same_version: bool = False) -> ResolveOptions:
        return ResolveOptions(
            store=self.store,
            host=HOST,
            env=self.environment,
            now=now,
            refresh=refresh,
            same_version=same_version,
            say=self.said.append,
        )

    def write(self, below: str, text: str) -> PurePosixPath:
        path = self.root / "recipe" / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return PurePosixPath(below)
