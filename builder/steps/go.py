"""Go components: all programs of one module in one `go build`, with the locked toolchain and nothing from a network.

The wrapper module beside the recipe (go.mod, go.sum) decides every dependency; `-trimpath -buildvcs=false` keep paths
and repositories out of the programs, and the environment is ours alone (GOENV=off: no user's settings).
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from builder.buildroot.model import needs_of
from builder.errors import StepError
from builder.facts.program import Expectation
from builder.lock.model import LockedInput, LockedTool
from builder.plan.model import Receipt, Step
from builder.process import run as run_program
from builder.recipe.crypto import fips_of, uses_c
from builder.recipe.model import Fips, GoComponent, Recipe
from builder.recipe.places import beside
from builder.sources.go import read_wrapper
from builder.sources.gomod import files_digest, is_import_path
from builder.steps.context import Job, StepContext, clean_environment
from builder.steps.folders import copy_locked
from builder.steps.place import OnMachine, Place, place_for
from builder.steps.programs import keep_programs
from bundles.platform import Platform

VERSION: Final = 1
LANE: Final = "go"  # a Go build uses every core by itself
_STATIC_TAGS: Final = ("netgo", "osusergo")  # no libc for names and users: static programs must not need NSS
_NATIVE_MODULE: Final = "v1.0.0"  # the frozen FIPS 140-3 module of Go's crypto (go.dev/doc/security/fips140)
# Bytes in the store: sources and compiled packages of a module, then each program; the default recipe takes 5.1 GB.
_MODULE_SPACE: Final = 700_000_000
_PROGRAM_SPACE: Final = 200_000_000
# Programs for every processor of an architecture (go.dev/wiki/MinimumRequirements).
_LEVELS: Final = {"amd64": {"GOAMD64": "v1"}, "arm64": {"GOARM64": "v8.0"}}


def describe(
    component: GoComponent,
    locked: LockedInput,
    recipe: Recipe,
    platform: Platform,
    toolchain: LockedTool,
    tools: Mapping[str, str],
) -> Job:
    """Component, its locked input and what compiles its C (steps.tools: name -> version) -> its job. Pure."""
    needs_c = uses_c(component, recipe)
    description: dict[str, Any] = {
        "source": locked.source,
        "h1": locked.h1,
        "digest": str(locked.digest) if locked.digest else None,
        "sum": str(locked.sum.digest) if locked.sum else None,
        "toolchain": [toolchain.source, toolchain.h1],
        "platform": str(platform),
        "packages": dict(component.packages),
        "stamps": dict(component.stamps),
        "tags": list(_tags(component)),
        "cgo": needs_c,
        "static": component.static,
        "fips": str(fips_of(component, recipe)),
        "tools": dict(tools) if needs_c else {},
    }
    if _names_its_module(component):  # only there: other content ids, and what is built under them, stay
        description["main_h1"] = True
    modules = locked.sum.modules if locked.sum else 0
    step = Step(
        name=f"component {component.name}",
        kind="go",
        version=VERSION,
        description=description,
        # From empty caches on two cores: runc's 40 modules take 34 s, crictl's 118 up to 106 s, kubelet's 209 160 s.
        seconds=5 + modules * 4 // 5,
        size=_MODULE_SPACE + _PROGRAM_SPACE * len(component.packages),
    )
    return Job(step=step, run=functools.partial(_run, component, locked), lane=LANE)


def _run(component: GoComponent, locked: LockedInput, context: StepContext) -> Receipt:
    module = _module_folder(component, locked, context)
    _unpack_native_module(component, context)
    place = place_for(context, needs_of(component), go=True, c=uses_c(component, context.recipe))
    out = context.folder / "out"
    out.mkdir()
    for names in _groups(component):
        target = place.seen(out) + ("/" if len(names) > 1 else f"/{names[0]}")
        argv = _command(component, context, place, [_package(component, name) for name in names], target)
        place.run(argv, cwd=module, what=f"component {component.name}", env=variables(component, context, place))
    want = Expectation(
        platform=context.platform,
        static=component.static,
        version=stamped_version(component),
        go=str(context.recipe.go),
        crypto=str(fips_of(component, context.recipe)),
        main_h1=_names_its_module(component),
    )
    return keep_programs(context, {name: out / name for name in component.packages}, want, component.name)


def _names_its_module(component: GoComponent) -> bool:
    """Whether programs come out of a module that the folder beside the recipe asks for: only they know its hash."""
    return component.module is None and any(is_import_path(path) for path in component.packages.values())


def stamped_version(component: GoComponent) -> str:
    """The text that a stamp must have put into every program: the version, as the stamp spells it (`v1.2`, `1.2`)."""
    bare = component.version.removeprefix("v")
    return next((value for value in component.stamps.values() if bare and bare in value), "")


def variables(component: GoComponent, context: StepContext, place: Place) -> dict[str, str]:
    """What `go build` is told beside the clean environment: caches of the store, no network, no user's settings."""
    recipe = context.recipe
    more = {
        "GOENV": "off",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOPROXY": "off",
        "GOSUMDB": "off",  # every sum is in go.sum; nothing is asked, nothing is added
        "GOTOOLCHAIN": "local",
        "GOTELEMETRY": "off",
        "GOOS": context.platform.os,
        "GOARCH": context.platform.architecture,
        "CGO_ENABLED": "1" if uses_c(component, recipe) else "0",
        **place.go_caches(),
    }
    more |= _LEVELS.get(context.platform.architecture, {})
    if fips_of(component, recipe) is Fips.BORINGCRYPTO:
        more["GOEXPERIMENT"] = "boringcrypto"
    if fips_of(component, recipe) is Fips.GO_NATIVE:
        more["GOFIPS140"] = _NATIVE_MODULE
    return more


def _unpack_native_module(component: GoComponent, context: StepContext) -> None:
    """go unpacks the frozen crypto module from its own toolchain into the module cache, which builds only read."""
    if context.recipe.buildroot is None or fips_of(component, context.recipe) is not Fips.GO_NATIVE:
        return
    machine = OnMachine(context=context)
    run_program(
        context.sandbox.wrap([machine.go_program(), "list", "crypto/sha256"]),
        cwd=context.folder,
        env=clean_environment(context, **variables(component, context, machine)),
        what=f"component {component.name}",
        log=context.log,
        cancel=context.cancel,
    )


def _command(component: GoComponent, context: StepContext, place: Place, packages: list[str], target: str) -> list[str]:
    flags = ["-s", "-w", *(f"-X {_quoted(f'{name}={value}')}" for name, value in component.stamps.items())]
    if uses_c(component, context.recipe) and component.static:
        flags += ["-linkmode=external", "-extldflags=-static"]
    tags = _tags(component)
    return [
        place.go_program(),
        "build",
        "-trimpath",
        "-buildvcs=false",
        *(["-p", str(context.jobs)] if context.jobs else []),
        *(["-tags", ",".join(tags)] if tags else []),
        "-ldflags",
        " ".join(flags),
        "-o",
        target,
        *packages,
    ]


def _quoted(word: str) -> str:
    """go's own quoting of -ldflags: blanks want quotes, and there is no escape inside them."""
    if not any(character.isspace() for character in word) and "'" not in word and '"' not in word:
        return word
    quote = '"' if "'" in word else "'"
    if quote in word:
        raise StepError("a stamp cannot hold both kinds of quotes", got=word)
    return f"{quote}{word}{quote}"


def _tags(component: GoComponent) -> tuple[str, ...]:
    return tuple(sorted({*component.tags, *(_STATIC_TAGS if component.static else ())}))


def _package(component: GoComponent, name: str) -> str:
    path = component.packages[name]
    if component.module is None and is_import_path(path):
        return path
    root = component.module or "."
    return f"{root}/{path}" if path else root


def _groups(component: GoComponent) -> list[list[str]]:
    """Programs that one `go build` can name itself go together; each other one alone, with its name."""
    own = [name for name in component.packages if _package(component, name).rpartition("/")[2] == name]
    others = [[name] for name in component.packages if name not in own]
    return ([own] if own else []) + others


def _module_folder(component: GoComponent, locked: LockedInput, context: StepContext) -> Path:
    """The wrapper module's files, or the module beside the recipe, copied where only this step writes."""
    target = context.folder / "module"
    if component.folder is not None:
        return copy_locked(beside(context.recipe, component.folder), target, locked.digest, context.lock.epoch)
    if locked.sum is None:
        raise StepError("the lock has no go.sum for it", where=component.name, hint="run `sealift lock`")
    source = beside(context.recipe, locked.sum.folder)
    files = read_wrapper(source)
    if (got := files_digest(files)) != locked.sum.digest:
        hint = "run `sealift lock` if the change is meant"
        raise StepError("differs from the lock", where=source, got=got, want=locked.sum.digest, hint=hint)
    target.mkdir()
    for name, content in files.items():
        (target / name).write_bytes(content)
    return target
