"""Where the commands of a step run: on the machine without network, or inside the recipe's build root."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from builder.buildroot import cross, room
from builder.buildroot.model import closure, closure_digest
from builder.buildroot.room import Bound, Room
from builder.buildroot.unpack import ensure_root
from builder.process import run as run_program
from builder.sources.goclient import toolchain_folder
from builder.steps.context import StepContext, clean_environment


class Place(Protocol):
    """A place that commands run in."""

    def seen(self, path: Path) -> str:
        """A path of the machine, as commands see it."""

    def go_program(self) -> str:
        """The locked go command, as commands see it."""

    def go_caches(self) -> dict[str, str]:
        """Variables that name go's caches and temporary folder."""

    def run(self, argv: Sequence[str], *, cwd: Path, what: str, env: Mapping[str, str]) -> None:
        """Runs one command in a folder (of the machine), `env` over the clean environment; raises as process.run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OnMachine:
    """The machine's own tools, in a network namespace where it allows one."""

    context: StepContext

    def seen(self, path: Path) -> str:
        """The path itself."""
        return str(path)

    def go_program(self) -> str:
        """In the store's module cache."""
        return str(_toolchain(self.context) / "bin/go")

    def go_caches(self) -> dict[str, str]:
        """Those of the store."""
        return {"GOMODCACHE": str(self.context.store.go_mod), "GOCACHE": str(self.context.store.go_build)}

    def run(self, argv: Sequence[str], *, cwd: Path, what: str, env: Mapping[str, str]) -> None:
        """With PATH of the machine."""
        context = self.context
        run_program(
            context.sandbox.wrap(argv),
            cwd=cwd,
            env=clean_environment(context, **env),
            what=what,
            log=context.log,
            capture=False,
            cancel=context.cancel,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class InRoot:
    """The build root, with the step's own folder at /build; `more` is what every command is told."""

    context: StepContext
    within: Room
    more: Mapping[str, str] = field(default_factory=dict)

    def seen(self, path: Path) -> str:
        """Where it is bound."""
        return self.within.seen(path)

    def go_program(self) -> str:
        """Bound at its fixed place."""
        return f"{room.GO}/bin/go"

    def go_caches(self) -> dict[str, str]:
        """Bound at their fixed places; what go writes on its way is too much for /tmp."""
        return {"GOMODCACHE": room.GO_MODULES, "GOCACHE": room.GO_CACHE, "GOTMPDIR": room.WORK}

    def run(self, argv: Sequence[str], *, cwd: Path, what: str, env: Mapping[str, str]) -> None:
        """With nothing of the machine: its environment ends here."""
        context = self.context
        inside = room.environment(context.lock.epoch, {**self.more, **env})
        run_program(
            self.within.wrap(argv, cwd=cwd, env=inside),
            cwd=context.folder,
            env={},
            what=what,
            log=context.log,
            capture=False,
            cancel=context.cancel,
        )


def place_for(context: StepContext, needs: Sequence[str], *, go: bool = False, c: bool = True) -> Place:
    """The recipe's place for a component's commands; `go`: with the toolchain and its caches, `c`: C is compiled.

    Raises MissingError where the build root's packages are not there, or the machine lets nobody into it.
    """
    if context.recipe.buildroot is None:
        return OnMachine(context=context)
    machine = cross.machine_of(context.lock.buildroot)
    packages = closure(context.lock.buildroot, cross.needs_for(needs, context.platform, machine, c=c))
    binds = [Bound(source=context.folder, place=room.WORK, writable=True)]
    if go:
        store = context.store
        cache = store.go_build_within(closure_digest(packages)) if c else store.go_build
        binds += [
            Bound(source=_toolchain(context), place=room.GO),
            Bound(source=store.go_mod, place=room.GO_MODULES),
            Bound(source=cache, place=room.GO_CACHE, writable=True),
        ]
    within = Room(root=ensure_root(context.store, packages), binds=tuple(binds))
    room.check_entry(within, context.folder, context.cancel)
    told = cross.variables(context.platform, machine, room.PATH) if c else {}
    if told:
        (context.folder / cross.SITE).write_text(cross.config_site(context.platform, machine))
    return InRoot(context=context, within=within, more=told)


def _toolchain(context: StepContext) -> Path:
    """GOROOT of the locked toolchain, the one that runs on this machine."""
    return toolchain_folder(context.store, str(context.recipe.go), context.machine or context.platform)
