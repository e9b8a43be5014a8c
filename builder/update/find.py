"""What is newer than what a recipe says, asked of the clients that locking uses: go and apt."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.errors import StepError
from builder.recipe import keys
from builder.recipe.model import CompileComponent, Component, DebComponent, GoComponent, Recipe, UserlandComponent
from builder.recipe.places import beside
from builder.sources.apt import AptClient
from builder.sources.aptlists import parse_name
from builder.sources.go import SOURCE_PREFIX
from builder.sources.goclient import GoClient
from builder.sources.gomod import parse_sums
from builder.update.edit import Edit
from builder.update.versions import newest_module, newest_package, newest_toolchain, same_patch
from bundles.errors import SealiftError

GO = "go"
ROOT = "buildroot"
# One line for each module: its path, its versions, and after a ! what went wrong.
_ANSWER: Final = '{{.Path}}{{range .Versions}} {{.}}{{end}}{{if .Error}} !{{printf "%q" .Error.Err}}{{end}}'


@dataclass(frozen=True, kw_only=True, slots=True)
class Newer:
    """One thing that can move: whose it is, what, from which version to which, and where the recipe says so."""

    component: str
    what: str
    old: str
    new: str
    edit: Edit

    def __str__(self) -> str:
        """`containerd: github.com/containerd/containerd v1.7.35 -> v1.7.36`."""
        return f"{self.component}: {self.what} {self.old} -> {self.new}"


class Asker:
    """Asks go and apt, each thing once. `failures` collects what could not be asked."""

    def __init__(self, go: GoClient, apt: AptClient, suites: Collection[str]) -> None:
        """`suites` are those that the lock has packages of: no machine's other lists move it to another release."""
        self._go, self._apt, self._suites = go, apt, frozenset(suites)
        self._modules: dict[str, list[str]] = {}
        self._listed = False
        self.failures: list[SealiftError] = []
        self.asked = 0

    def newer(self, recipe: Recipe, names: Collection[str]) -> list[Newer]:
        """All that is newer of the named components; all of them, and the toolchain, when none is named."""
        self._ask(list(_modules(recipe, names)))
        found = list(self._toolchain(recipe)) if not names or GO in names else []
        for name, component in recipe.components.items():
            if not names or name in names:
                found += self._component(recipe, component)
        return found

    def _toolchain(self, recipe: Recipe) -> Iterator[Newer]:
        if recipe.go is None:
            return
        new = newest_toolchain(recipe.go, self._versions(GO))
        if new != recipe.go:
            edit = Edit(file=keys.BUNDLE, path=(GO,), old=recipe.go, new=new)
            yield Newer(component=GO, what="toolchain", old=recipe.go, new=new, edit=edit)

    def _component(self, recipe: Recipe, component: Component) -> Iterator[Newer]:
        name = component.name
        if isinstance(component, GoComponent) and component.module is not None:
            yield from self._module(recipe, component)
        elif isinstance(component, CompileComponent):
            kind, _, rest = component.source.partition(":")
            if f"{kind}:" == SOURCE_PREFIX:
                path, _, version = rest.partition("@")
                yield from _moved(name, path, version, newest_module(version, self._versions(path)), "compile")
            elif kind == "deb-source":
                yield from self._package(name, rest, ("compile",), source=True)
        elif isinstance(component, DebComponent):
            yield from self._package(name, f"{component.package}={component.version}", ("deb",), source=False)
        elif isinstance(component, UserlandComponent):
            for number, package in enumerate(component.packages):
                yield from self._package(name, package, ("userland", number), source=False)

    def _module(self, recipe: Recipe, component: GoComponent) -> Iterator[Newer]:
        module, old = component.module or "", component.version
        new = newest_module(old, self._versions(module))
        yield from _moved(component.name, module, old, new, "go")
        for pattern, version in component.replace.items():
            # Modules that are released together move together; others on their own.
            if same_patch(version, old, old):
                found = same_patch(version, old, new)
            else:
                replaced = _replaced(beside(recipe, f"go/{component.name}"), pattern)
                found = newest_module(version, self._versions(replaced)) if replaced else version
            if found != version:
                edit = Edit(file=keys.COMPONENTS, path=(component.name, "replace", pattern), old=version, new=found)
                yield Newer(component=component.name, what=f"replace {pattern}", old=version, new=found, edit=edit)

    def _package(self, component: str, package: str, path: tuple[str | int, ...], *, source: bool) -> Iterator[Newer]:
        name, old = parse_name(package)
        self.asked += 1
        try:
            if not self._listed:
                self._apt.update()
                self._listed = True
            listed = self._apt.versions(name, source=source)
            new = newest_package(old, (each for each, suite in listed if _in_line(suite, self._suites)))
        except SealiftError as exc:
            self.failures.append(exc)
            return
        if new != old:
            edit = Edit(file=keys.COMPONENTS, path=(component, *path), old=f"={old}", new=f"={new}")
            yield Newer(component=component, what=name, old=old, new=new, edit=edit)

    def _versions(self, module: str) -> list[str]:
        """What the proxy serves of a module; `go` is Go itself (go.dev/ref/mod, "go list -m -versions")."""
        if module not in self._modules:
            self._ask([module])
        return self._modules[module]

    def _ask(self, modules: Collection[str]) -> None:
        """Asks for the versions of modules, together: go asks several at once."""
        wanted = sorted(set(modules) - self._modules.keys())
        if not wanted:
            return
        with self._go.store.temp_folder("update") as cwd:
            arguments = ["list", "-m", "-e", "-versions", "-f", _ANSWER, *wanted]
            printed = self._go.call(arguments, cwd=cwd, what="versions", more={"GOFLAGS": "-mod=mod"}).stdout
        answers = {line.split(" ", 1)[0]: line for line in printed.decode("utf-8", "replace").splitlines()}
        for module in wanted:
            versions, _, error = answers.get(module, f"{module} !no answer").partition(" !")
            self._modules[module] = versions.split()[1:]
            self.asked += 1
            if error:
                self.failures.append(StepError(error.strip('"').replace(r"\n\t", " "), where=module))


def _modules(recipe: Recipe, names: Collection[str]) -> Iterator[str]:
    """The modules whose versions will be asked for."""
    if recipe.go is not None and (not names or GO in names):
        yield GO
    for name, component in recipe.components.items():
        if names and name not in names:
            continue
        if isinstance(component, GoComponent) and component.module is not None:
            yield component.module
        elif isinstance(component, CompileComponent) and component.source.startswith(SOURCE_PREFIX):
            yield component.source.removeprefix(SOURCE_PREFIX).partition("@")[0]


def _in_line(suite: str, suites: Collection[str]) -> bool:
    """Whether a suite is one of the lock's, or its updates or security (`bookworm-security`)."""
    release, _, more = suite.partition("-")
    return more in ("", "updates", "security") and (not suites or release in {each.split("-")[0] for each in suites})


def _moved(component: str, what: str, old: str, new: str, key: str) -> Iterator[Newer]:
    if new != old:
        edit = Edit(file=keys.COMPONENTS, path=(component, key), old=f"@{old}", new=f"@{new}")
        yield Newer(component=component, what=what, old=old, new=new, edit=edit)


def _replaced(folder: Path, pattern: str) -> str:
    """A module that a component's go.sum has and that the pattern of `replace` means; empty when there is none."""
    try:
        sums = parse_sums((folder / "go.sum").read_text(), folder)
    except (OSError, SealiftError):
        return ""
    expression = re.compile("[^/]*".join(map(re.escape, pattern.split("*"))))
    return next((module.path for module in sorted(sums) if expression.fullmatch(module.path)), "")


def failure(found: Iterable[SealiftError]) -> StepError:
    """One error for all that could not be asked."""
    rows = "\n".join(map(str, found))
    return StepError(f"not everything can be looked up:\n{rows}", hint="nothing was changed")
