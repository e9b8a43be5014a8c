"""A small world for steps: a recipe value, a lock value, a store, and a context to run one step in."""

import functools
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from builder.lock.model import Lock, LockedChart, LockedInput
from builder.plan.model import Output, Receipt
from builder.process import Cancel
from builder.recipe.model import (
    AssembleImage,
    Component,
    Fips,
    Flavour,
    FolderChart,
    Recipe,
)
from builder.sandbox import Sandbox, detect
from builder.steps.context import Job, StepContext
from builder.store import Store
from bundles.digest import Digest
from bundles.platform import Platform
from tests.support.gotools import go_program, store_root

EPOCH = 1_771_545_600
AMD64 = Platform.parse("linux/amd64")
NOTHING = Digest.of(b"")
STATIC_PROGRAM = '#include <stdio.h>\nint main(void) { return puts("tool " VERSION) < 0; }\n'


@functools.cache
def sandbox() -> Sandbox:
    """The machine's own."""
    return detect(os.environ)


@functools.cache
def go_root() -> Path:
    """The folder of the Go that tests use."""
    return go_program().resolve().parent.parent


@functools.cache
def go_version() -> str:
    """Its version, as recipes spell it."""
    found = re.match(r"go([0-9.]+)", (go_root() / "VERSION").read_text())
    assert found
    return found[1]


def store_with_go(folder: Path, version: str = "") -> Store:
    """A store whose locked toolchain is the machine's Go, and whose compiler cache is the tests' one."""
    store = Store(folder)
    tools = store.go_mod / "golang.org"
    tools.mkdir(parents=True)
    (tools / f"toolchain@v0.0.1-go{version or go_version()}.linux-amd64").symlink_to(go_root())
    cache = store_root() / "test-tools/go-build"
    cache.mkdir(parents=True, exist_ok=True)
    store.go_build.rmdir()
    store.go_build.symlink_to(cache)
    return store


def a_recipe(
    folder: Path,
    *components: Component,
    images: tuple[AssembleImage, ...] = (),
    charts: tuple[FolderChart, ...] = (),
    go: str | None = None,
    fips: Fips = Fips.OFF,
) -> Recipe:
    """A recipe value with these components."""
    return Recipe(
        folder=folder,
        name="tiny",
        version="v1.0.0",
        flavour=Flavour.CLASSIC,
        sequence=1,
        platforms=(AMD64,),
        components={component.name: component for component in components},
        images={image.name: image for image in images},
        charts={chart.name: chart for chart in charts},
        archives={},
        runtime="rke2-runtime",
        go=go,
        fips=fips,
    )


def a_lock(*inputs: LockedInput, charts: tuple[LockedChart, ...] = (), epoch: int = EPOCH) -> Lock:
    """A lock value with these inputs."""
    return Lock(recipe=NOTHING, bundle="tiny@v1.0.0", epoch=epoch, tools=(), buildroot=(), inputs=inputs, charts=charts)


def run_job(
    job: Job, recipe: Recipe, store: Store, *, lock: Lock | None = None, needed: Mapping[str, Receipt] | None = None,
    jobs: int = 2, host: Mapping[str, str] | None = None,
) -> Receipt:  # fmt: skip
    """Runs one job in a folder of its own, as a build does."""
    descriptor, log = tempfile.mkstemp(prefix="step.", suffix=".log", dir=store.logs)
    os.close(descriptor)
    with store.temp_folder("step") as folder:
        context = StepContext(
            store=store,
            sandbox=sandbox(),
            recipe=recipe,
            lock=lock or a_lock(),
            platform=AMD64,
            folder=folder,
            log=Path(log),
            needed=needed or {},
            jobs=jobs,
            cancel=Cancel(),
            host=host or {"PATH": os.environ["PATH"]},
        )
        return job.run(context)


def stored(store: Store, **contents: bytes) -> Receipt:
    """A receipt with these outputs, in the store; `_` in a name stands for a dot."""
    outputs = {
        name.replace("_", "."): Output(digest=store.put(content), size=len(content), mode=0o755)
        for name, content in contents.items()
    }
    return Receipt(outputs=outputs)


def write_tree(folder: Path, files: Mapping[str, str]) -> Path:
    """Writes text files by their path."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
