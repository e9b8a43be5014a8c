"""A release whose one component changed, without compiling: a copy of the default recipe and of what its store holds.

The component gets another stamp, so its step is another one; a receipt with changed programs is put where its compiler
would have put it. Everything after that is for `sealift build` to do.
"""

import dataclasses
import os
import shutil
from pathlib import Path

from bench.timing import Bench, BenchError
from builder.build import one_platform, plan_build, read_sources
from builder.lock.text import format_lock, read_lock
from builder.plan.model import Output, Receipt
from builder.recipe.digest import recipe_digest
from builder.recipe.read import read_recipe
from builder.store import Store, default_root

RECIPE = "recipes/rke2-v1.34"
_TOUCHED = 1 << 20  # a changed word in each so many bytes: no frame of the program stays as it was


class Rebuild:
    """`folder`/store and `folder`/out hold the finished bundle of the default recipe."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        """Raises BenchError when the machine's store does not hold the whole recipe: run `make bundle`."""
        self._bench = bench
        self._folder = folder
        self.store = _copied_store(Store(default_root(bench.environment)), folder / "store")
        self.output = folder / "out"
        self.recipe = bench.root / RECIPE
        sources = read_sources(self.recipe)
        self._plan = plan_build(sources, one_platform(sources.recipe), self.store, bench.environment)
        if missing := [job.step.name for job in self._plan.missing]:
            raise BenchError(f"not in the store, run `make bundle` first: {', '.join(missing)}")
        self._number = 0

    def build(self, recipe: Path) -> tuple[str | Path, ...]:
        """The command that users type."""
        places = ("--output", self.output, "--store", self.store.root)
        return (self._bench.program("sealift"), "build", recipe, *places, "--replace", "--progress", "none")

    def change(self, component: str) -> Path:
        """A recipe in which `component` changed, its programs compiled: another change with every call."""
        self._number += 1
        recipe = self._folder / f"recipe-{self._number}"
        shutil.copytree(self.recipe, recipe, symlinks=True)
        _change_stamp(recipe / "components.yaml", component, f"change-{self._number}")
        changed = read_recipe(recipe)
        lock = dataclasses.replace(read_lock(recipe), recipe=recipe_digest(changed))
        (recipe / "lock.yaml").write_text(format_lock(lock))
        plan = plan_build(read_sources(recipe), one_platform(changed), self.store, self._bench.environment)
        for kind in ("component", "licences"):  # what looks at sources
            name = f"{kind} {component}"
            before = self.store.receipt(self._plan.rows[name].id)
            assert before is not None
            outputs = {
                key: self._changed(output) if kind == "component" else output for key, output in before.outputs.items()
            }
            self.store.write_receipt(plan.rows[name].id, Receipt(outputs=outputs, facts=before.facts))
        return recipe

    def programs(self, component: str) -> list[Path]:
        """The component's programs, as they are in the store."""
        receipt = self.store.receipt(self._plan.rows[f"component {component}"].id)
        assert receipt is not None
        return [self.store.path(output.digest) for output in receipt.outputs.values()]

    def _changed(self, output: Output) -> Output:
        data = bytearray(self.store.read(output.digest))
        for at in range(4096, len(data) - 8, _TOUCHED):
            data[at : at + 8] = self._number.to_bytes(8, "little")
        return Output(digest=self.store.put(data), size=len(data), mode=output.mode)


def _change_stamp(path: Path, component: str, value: str) -> None:
    """Sets the first stamp of a Go component in components.yaml."""
    before, found, rest = path.read_text().partition(f"\n{component}:")
    head, stamp, tail = rest.partition(": $version")
    if not found or not stamp or "\n\n" in head:
        raise BenchError(f"{path}: {component} has no stamp to change")
    path.write_text(f"{before}{found}{head}: {value}{tail}")


def _copied_store(warm: Store, root: Path) -> Store:
    """A store of its own with the same content, by hard links where they are possible; nothing to compile with."""
    for name in ("blobs", "steps", "frames", "sources"):
        shutil.copytree(warm.root / name, root / name, symlinks=True, copy_function=_link)
    return Store(root)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)  # nothing writes into what a store holds: it is replaced by rename
    except OSError:
        shutil.copy2(source, target)
