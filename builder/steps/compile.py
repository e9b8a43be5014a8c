"""C components: sources in a private folder, a short list of commands, no network, an environment of ours.

The compiler is that of the recipe's build root: locked packages, whose digest is part of the content id. Without one
it is the machine's, and its version, the C library's and those of everything the recipe `needs` are part of the content
id: another compiler is another step, never a silently different one.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from builder.buildroot.model import needs_of
from builder.errors import StepError
from builder.facts.program import Expectation
from builder.lock.model import LockedInput
from builder.plan.model import Receipt, Step
from builder.recipe.fetched import last_part
from builder.recipe.model import CompileComponent
from builder.recipe.places import beside
from builder.sources.goclient import module_folder
from builder.sources.gomod import Module
from builder.steps.context import Job, StepContext
from builder.steps.folders import copy_locked, copy_module, settle
from builder.steps.place import Place, place_for
from builder.steps.programs import keep_programs
from builder.steps.url import checked_blob, unpack
from bundles.platform import Platform

VERSION: Final = 1
_STAMP = re.compile(r"""-D\w*VERSION=[\\"']*([^\s\\"']+)""")


def describe(
    component: CompileComponent, locked: LockedInput, epoch: int, platform: Platform, tools: Mapping[str, str]
) -> Job:
    """Component, its locked input, the lock's epoch and its C tools (steps.tools) -> its job. Pure."""
    step = Step(
        name=f"component {component.name}",
        kind="compile",
        version=VERSION,
        description={
            "source": locked.source,
            "h1": locked.h1,
            "digest": str(locked.digest) if locked.digest else None,
            "files": [[file.name, str(file.digest)] for file in locked.files],
            "run": list(component.run),
            "output": {name: str(path) for name, path in component.output.items()},
            "static": component.static,
            "platform": str(platform),
            "epoch": epoch,
            "tools": dict(tools),
        },
        seconds=60 if locked.files else 5,
    )
    return Job(step=step, run=functools.partial(_run, component, locked))


def _run(component: CompileComponent, locked: LockedInput, context: StepContext) -> Receipt:
    place = place_for(context, needs_of(component))
    source = _unpack(component, locked, context, place)
    for line in component.run:
        jobs = {"MAKEFLAGS": f"-j{max(1, context.jobs)}"}
        place.run(["sh", "-ec", line], cwd=source, what=f"component {component.name}", env=jobs)
    want = Expectation(platform=context.platform, static=component.static, version=stamped_version(component))
    files = {name: _inside(source, path, component.name) for name, path in component.output.items()}
    return keep_programs(context, files, want, component.name)


def stamped_version(component: CompileComponent) -> str:
    """The version the program must hold: what `-DVERSION=` says, or the upstream one of a Debian source.

    A Debian version is `[epoch:]upstream[-revision]` (Debian policy 5.6.12).
    """
    if component.source.startswith("deb-source:"):
        upstream = component.version.partition(":")[2] or component.version
        return upstream.rpartition("-")[0] or upstream
    return next((match[1] for line in component.run if (match := _STAMP.search(line))), "")


def _unpack(component: CompileComponent, locked: LockedInput, context: StepContext, place: Place) -> Path:
    """The sources as a folder that only this step writes."""
    target = context.folder / "source"
    kind, _, rest = locked.source.partition(":")
    if kind == "folder":
        copy_locked(beside(context.recipe, rest), target, locked.digest, context.lock.epoch)
    elif kind == "go-source":
        copy_module(module_folder(context.store, Module.parse(rest)), target, context.lock.epoch)
    elif kind == "deb-source":
        _unpack_debian(locked, context, target, place)
    elif kind == "url":
        unpack(checked_blob(context.store, locked.files[0]), last_part(rest), target)
        settle(target, context.lock.epoch)
    else:
        raise StepError("unknown kind of source", where=component.name, got=locked.source)
    return target


def _unpack_debian(locked: LockedInput, context: StepContext, target: Path, place: Place) -> None:
    """The files of a Debian source package, checked against the lock, unpacked and patched by dpkg-source."""
    folder = context.folder / "debian"
    folder.mkdir()
    for file in locked.files:
        (folder / file.name).write_bytes(context.store.read(file.digest))  # checked: what rotted must not be compiled
    description = next((file.name for file in locked.files if file.name.endswith(".dsc")), None)
    if description is None:
        raise StepError("no .dsc among the locked files", where=locked.source, hint="run sealift lock")
    # --no-check: the sums of the .dsc are weaker than the lock's, which were checked above.
    command = ["dpkg-source", "--no-check", "--no-copy", "-x", description, place.seen(target)]
    place.run(command, cwd=folder, what=f"unpacking {locked.source}", env={})
    settle(target, context.lock.epoch)


def _inside(folder: Path, path: PurePosixPath, component: str) -> Path:
    """An output's path; a command must not hand over a link to what it did not make."""
    found = folder / path
    if not found.resolve().is_relative_to(folder.resolve()):
        raise StepError("an output lies outside the source folder", where=component, got=path)
    return found
