"""`build --check`: everything a second time, from an empty store, with another number of workers; then compared.

Only what was fetched is shared: it is held to the lock by its digests. Compilers start without any cache.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from builder.assemble import write_bundle
from builder.errors import StepError
from builder.facts.bytesdiff import explain
from builder.mirror.archives import TakenArchives
from builder.mirror.bring import bringer
from builder.plan.graph import Plan
from builder.plan.model import Receipt
from builder.process import run
from builder.run import run_missing
from builder.sandbox import Sandbox
from builder.store import Store
from bundles import index
from bundles.compare.bundle import compare
from bundles.errors import MissingError, SealiftError
from bundles.files import os_errors
from bundles.index import BundleIndex

if TYPE_CHECKING:
    from builder.build import BuildOptions, Sources


_DIFFOSCOPE: Final = 600.0  # seconds


def check_again(
    sources: "Sources", first: Mapping[str, Receipt], document: BundleIndex, sandbox: Sandbox, options: "BuildOptions"
) -> None:
    """Builds again and raises SealiftError that names the steps and files that came out differently."""
    from builder.build import bundle_spec, one_platform, plan_build

    options.talk.say("checking: everything a second time, from an empty store")
    platform = one_platform(sources.recipe)
    with options.store.temp_folder("check") as folder:
        cold = dataclasses.replace(
            options, store=_cold_store(folder / "store", sources, options.store), jobs=_other(options.jobs)
        )
        plan = plan_build(sources, platform, cold.store, cold.env, cold.host)
        second, _ = run_missing(plan, sources.recipe, sources.lock, platform, sandbox, cold)
        different = list(differences(plan, first, second))
        if packed_otherwise(plan, first, second):
            different = []  # the files are the same, told is how the archives are not
        different += explained(plan, first, second, options, cold.store) if different else []
        if not different:
            (folder / "bundle").mkdir()
            spec = bundle_spec(sources, platform, plan, second)
            make = TakenArchives(bringer(sources.lock, options)).make  # what was fetched is shared
            again = write_bundle(spec, folder / "bundle", cold.store, workers=cold.jobs, make=make).document
            same = index.encode(again) == index.encode(document)
            different = [] if same else bundle_differences(options.output / spec_name(document), folder / "bundle")
    if different:
        rows = "\n".join(f"  {row}" for row in different)
        raise SealiftError(
            f"two builds of one lock differ:\n{rows}",
            where=options.output / spec_name(document),
            hint="a compiler or a command of these steps writes times, paths or random names into its output",
        )
    options.talk.say("checked: the second build has the same bytes")


def packed_otherwise(plan: Plan, first: Mapping[str, Receipt], second: Mapping[str, Receipt]) -> bool:
    """Whether at most layers and images came out differently: their blobs say less than bundles with them. Pure."""
    return all(
        first[job.step.name] == second[job.step.name] or job.step.kind in ("layer", "image") for job in plan.jobs
    )


def bundle_differences(first: Path, second: Path) -> list[str]:
    """Two bundles of the same steps -> what differs in which file: in layers the entry and how, in documents the field.

    The first is ours, the second theirs.
    """
    return [str(one) for one in compare(first, second).differences] or [index.INDEX_NAME]


def differences(plan: Plan, first: Mapping[str, Receipt], second: Mapping[str, Receipt]) -> Iterator[str]:
    """The steps that came out differently although what they need came out the same. Pure."""
    differ: set[str] = set()
    for job in plan.jobs:
        name = job.step.name
        one, two = first[name], second[name]
        if one == two:
            continue
        differ.add(name)
        if differ.isdisjoint(job.step.needs):
            names = sorted(
                key for key in one.outputs.keys() | two.outputs if one.outputs.get(key) != two.outputs.get(key)
            )
            yield f"{name}: {', '.join(names) or 'its facts'}"


def explained(
    plan: Plan, first: Mapping[str, Receipt], second: Mapping[str, Receipt], options: "BuildOptions", cold: Store
) -> Iterator[str]:
    """How the outputs differ of which `differences` tells: sections and bytes, and a report where diffoscope is."""
    for step, name in differing_outputs(plan, first, second):
        one, two = (found[step].outputs.get(name) for found in (first, second))
        if one is None or two is None:
            yield f"  {name}: only the {'first' if one else 'second'} build made it"
        elif one.digest == two.digest:
            yield f"  {name}: mode {one.mode:o}, then {two.mode:o}"
        else:
            rows = explain(options.store.read(one.digest), cold.read(two.digest))
            yield from (f"  {name}: {row}" for row in rows)
            report = options.store.logs / f"differs-{one.digest.hex[:12]}-{two.digest.hex[:12]}.txt"
            if diffoscope(options.store.path(one.digest), cold.path(two.digest), report, options):
                yield f"  {name}: all of it in {report}"


def differing_outputs(
    plan: Plan, first: Mapping[str, Receipt], second: Mapping[str, Receipt]
) -> Iterator[tuple[str, str]]:
    """Step and output of what came out differently although what the step needs came out the same. Pure."""
    differ: set[str] = set()
    for job in plan.jobs:
        name = job.step.name
        one, two = first[name].outputs, second[name].outputs
        if first[name] == second[name]:
            continue
        differ.add(name)
        if differ.isdisjoint(job.step.needs):
            yield from ((name, key) for key in sorted({*one, *two}) if one.get(key) != two.get(key))


def diffoscope(one: Path, two: Path, report: Path, options: "BuildOptions") -> bool:
    """Whether diffoscope is installed and wrote what it found; it may take minutes for large programs."""
    environment = {"PATH": options.env.get("PATH", ""), "LC_ALL": "C.UTF-8", "TMPDIR": str(report.parent)}
    command = ["diffoscope", "--no-progress", "--text", str(report), str(one), str(two)]
    try:
        done = run(command, cwd=Path("/"), env=environment, check=False, timeout=_DIFFOSCOPE, cancel=options.cancel)
    except (MissingError, StepError):
        return False
    return done.code == 1 and report.exists()


def spec_name(document: BundleIndex) -> str:
    """The name of the bundle's folder."""
    return index.folder_name(
        name=document.name, version=document.version, flavour=document.flavour, platform=document.platform
    )


def _other(jobs: int) -> int:
    return jobs - 1 if jobs > 1 else 2


def _cold_store(root: Path, sources: "Sources", warm: Store) -> Store:
    """An empty store that has what was fetched: modules by a link to their cache, packages by hard links."""
    store = Store(root)
    with os_errors(root):
        store.go_mod.rmdir()
        store.go_mod.symlink_to(warm.go_mod, target_is_directory=True)
        fetched = {file.digest: file.size for locked in (*sources.lock.inputs, *sources.lock.buildroot)
                   for file in locked.files}  # fmt: skip
        fetched |= {blob.digest: blob.size for image in sources.lock.images for blob in image.blobs}
        for digest, size in fetched.items():
            if warm.has(digest, size) and not store.has(digest):
                os.link(warm.path(digest), store.path(digest))
    return store
