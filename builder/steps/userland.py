"""Userlands: files of Debian packages at their own paths, their libraries, links, and a record for scanners.

No maintainer script is run and no package manager is needed: what dpkg would call installed is written down in
/var/lib/dpkg/status.d, one file for each package that gave a file, where scanners of images look for it.
"""

import functools
import os.path
from collections.abc import Mapping, Sequence
from typing import Any, Final

from builder.errors import StepError
from builder.facts.program import Expectation, check_program
from builder.lock.model import LockedInput
from builder.plan.model import Output, Receipt, Step
from builder.recipe.convert import link_path
from builder.recipe.model import UserlandComponent
from builder.steps.context import Job, StepContext
from builder.steps.debfile import DebFile
from builder.steps.tree import PackageTree, Taken
from bundles.platform import Platform

VERSION: Final = 1
STATUS: Final = "var/lib/dpkg/status.d"
LINKS: Final = "links"  # fact: path -> target of the symlinks
FOLDERS: Final = "folders"  # fact: path -> mode of the empty folders


def describe(component: UserlandComponent, locked: Sequence[LockedInput], platform: Platform) -> Job:
    """Component and its locked packages -> its job. Pure."""
    step = Step(
        name=f"component {component.name}",
        kind="userland",
        version=VERSION,
        description={
            "packages": [[each.source, str(each.files[0].digest)] for each in locked],
            "files": list(component.files),
            "links": {path: list(names) for path, names in component.links.items()},
            "platform": str(platform),
        },
        size=sum(file.size for each in locked for file in each.files) // 2,
    )
    return Job(step=step, run=functools.partial(_run, component, tuple(locked)))


def _run(component: UserlandComponent, locked: tuple[LockedInput, ...], context: StepContext) -> Receipt:
    packages = {_name(each.source): _open(each, context) for each in locked}
    taken = PackageTree(packages, context.platform.architecture).take(component.files)
    links, wrong = _links(component.links, taken)
    faults = taken.missing + wrong + _faults(taken, context.platform)
    if faults:
        raise StepError(
            "not what the recipe promises:\n  " + "\n  ".join(faults),
            where=f"component {component.name}",
            hint="add the package that has it to `userland`",
        )
    contents = {path: (file.content, 0o755 if file.executable else 0o644) for path, file in taken.files.items()}
    contents |= {
        f"{STATUS}/{name}": (installed(packages[name].control()).encode(), 0o644) for name in sorted(taken.packages)
    }
    outputs = {
        path: Output(digest=context.store.put(content), size=len(content), mode=mode)
        for path, (content, mode) in sorted(contents.items())
    }
    versions = {_name(each.source): each.source.partition("=")[2] for each in locked}
    facts: dict[str, Any] = {
        LINKS: taken.links | links,
        FOLDERS: taken.folders,
        "packages": {name: versions[name] for name in sorted(taken.packages)},
    }
    return Receipt(outputs=outputs, facts=facts)


def installed(control: str) -> str:
    """A package's control record -> its entry of dpkg's status file (dpkg-query(1): `install ok installed`)."""
    first, _, rest = control.partition("\n")
    return f"{first}\nStatus: install ok installed\n{rest.rstrip()}\n"


def _links(wanted: Mapping[str, Sequence[str]], taken: Taken) -> tuple[dict[str, str], list[str]]:
    """The recipe's links -> path -> relative target, and what is wrong with them."""
    there = {*taken.files, *taken.links}
    links: dict[str, str] = {}
    wrong = [f"links lead to {target}, which is not among the files" for target in wanted if target not in there]
    for target, names in wanted.items():
        for name in names:
            path = link_path(target, name)
            if path in there or path in links:
                wrong.append(f"a link and a file at {path}")
            links[path] = os.path.relpath(target, os.path.dirname(path))
    return links, wrong


def _faults(taken: Taken, platform: Platform) -> list[str]:
    """Programs and libraries for other machines."""
    want = Expectation(platform=platform, static=False)
    return [
        f"{path}: {fault}"
        for path, file in taken.files.items()
        if file.content.startswith(b"\x7fELF")
        for fault in check_program(file.content, want).wrong
    ]


def _open(locked: LockedInput, context: StepContext) -> DebFile:
    (package,) = locked.files
    return DebFile(context.store.read(package.digest), where=package.name)


def _name(source: str) -> str:
    """`deb:bookworm/iptables=1.8.9-2` -> `iptables`."""
    return source.rpartition("/")[2].partition("=")[0]
