"""Charts rendered by the bundle's own helm, to find every image that they can ask for.

Each chart is rendered with each of its `discover` value sets, on top of the values that nodes inject, and once more
with a registry in front: an image that does not follow `global.systemDefaultRegistry` would be pulled from outside.
"""

import functools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from builder.errors import StepError
from builder.facts.asked import images_asked
from builder.plan.model import Receipt, Step
from builder.process import run as run_program
from builder.recipe.model import Chart
from builder.steps.context import Job, StepContext, clean_environment
from bundles.errors import FormatError
from bundles.reference import Reference

VERSION: Final = 1
IMAGES: Final = "images"  # fact: reference -> who asks for it
REGISTRY: Final = "registry.example.invalid"
# What a node sets in every chart (rke2, pkg/bootstrap: setChartValues), with the defaults of a cluster.
INJECTED: Final[Mapping[str, str]] = {
    "global.clusterCIDR": "10.42.0.0/16",
    "global.clusterCIDRv4": "10.42.0.0/16",
    "global.clusterCIDRv6": "",
    "global.clusterDNS": "10.43.0.10",
    "global.clusterDomain": "cluster.local",
    "global.rke2DataDir": "/var/lib/rancher/rke2",
    "global.serviceCIDR": "10.43.0.0/16",
}


def describe(chart: Chart, helm: str) -> Job:
    """Chart and the component that makes helm -> its job. Pure."""
    step = Step(
        name=render_name(chart.name),
        kind="render",
        version=VERSION,
        description={
            "release": chart.manifest_name,
            "discover": [dict(values) for values in _sets(chart)],
            "injected": dict(INJECTED),
        },
        needs=(f"component {helm}", f"chart {chart.name}"),
        seconds=2,
    )
    return Job(step=step, run=functools.partial(_run, chart, helm))


def render_name(chart: str) -> str:
    """The step's name."""
    return f"render {chart}"


def _sets(chart: Chart) -> tuple[Mapping[str, object], ...]:
    return chart.discover or ({},)


def _run(chart: Chart, helm: str, context: StepContext) -> Receipt:
    program = context.folder / "helm"
    shutil.copyfile(context.store.path(context.needed[f"component {helm}"].outputs["helm"].digest), program)
    program.chmod(0o755)
    packaged = context.needed[f"chart {chart.name}"]
    archive = context.store.path(packaged.outputs[packaged.facts["archive"]].digest)
    local = context.folder / packaged.facts["archive"]
    shutil.copyfile(archive, local)
    found: dict[str, dict[str, None]] = {}
    faults: list[str] = []
    for values in _sets(chart):
        plain, fronted = (_images(chart, program, local, values, context, registry) for registry in ("", REGISTRY))
        said = f" with {json.dumps(values)}" if values else ""
        for image, owner in plain:
            try:
                name = Reference.parse(image).name
            except FormatError as exc:
                faults.append(f"{owner}{said}: {exc.message}: {image}")
                continue
            found.setdefault(name, {})[owner] = None
        faults += [f"{owner}{said}: {image} ignores global.systemDefaultRegistry"
                   for image, owner in fronted if not image.startswith(f"{REGISTRY}/")]  # fmt: skip
    if faults:
        raise StepError("not fit for a site without a way out:\n  " + "\n  ".join(faults), where=f"chart {chart.name}")
    return Receipt(outputs={}, facts={IMAGES: {name: list(owners) for name, owners in sorted(found.items())}})


def _images(
    chart: Chart, program: Path, archive: Path, values: Mapping[str, object], context: StepContext, registry: str
) -> list[tuple[str, str]]:
    """One rendering -> the images it asks for, and which object does."""
    file = context.folder / "values.json"
    file.write_text(json.dumps(values))
    injected = dict(INJECTED) | {
        "global.systemDefaultRegistry": registry,
        "global.cattle.systemDefaultRegistry": registry,
    }
    sets = [word for name, value in injected.items() for word in ("--set-string", f"{name}={value}")]
    done = run_program(
        context.sandbox.wrap(
            [
                str(program),
                "template",
                chart.manifest_name,
                str(archive),
                "--namespace=kube-system",
                "--include-crds",
                f"--values={file}",
                *sets,
            ]
        ),
        cwd=context.folder,
        env=clean_environment(context),
        what=render_name(chart.name),
        log=context.log,
        cancel=context.cancel,
    )
    return images_rendered(done.stdout, f"chart {chart.name}")


def images_rendered(rendered: bytes, where: str) -> list[tuple[str, str]]:
    """What helm printed -> the images in it. Raises StepError for what is no YAML, or is nested without end."""
    try:
        documents: list[Any] = list(yaml.load_all(rendered, yaml.CSafeLoader))
        return images_asked(documents)
    # yaml's constructors let pass what Python says of odd scalars and keys
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise StepError(f"helm rendered no YAML: {exc}", where=where) from exc
