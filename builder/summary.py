"""The words around a build: the plan before it, the summary after it. Pure: values in, text out."""

from collections.abc import Mapping
from typing import Any

from builder.plan.graph import Plan
from builder.recipe.model import Recipe
from builder.space import Space
from bundles.index import BundleIndex
from bundles.talk import human_bytes

_SLOWEST = 5


def plan_lines(recipe: Recipe, plan: Plan, space: Space, jobs: int) -> list[str]:
    """The plan as lines: every step, what is cached, and what the rest may take."""
    width = max((len(name) for name in plan.rows), default=0)
    lines = [f"plan: {recipe.name} {recipe.version}, {len(plan.rows)} steps, {len(plan.missing)} to run"]
    for name, row in plan.rows.items():
        state = "cached" if row.cached else f"about {row.step.seconds} s"
        lines.append(f"  {name:{width}}  {row.id.hex[:12]}  {state}")
    if plan.missing:
        lines.append(
            f"  at most about {duration(plan.seconds)} with {jobs} jobs;"
            f" about {human_bytes(space.store)} more in the store, {human_bytes(space.output)} of archives"
        )
    return lines


def plan_document(recipe: Recipe, plan: Plan, space: Space) -> dict[str, Any]:
    """The plan for `--json`."""
    steps = [
        {
            "name": name,
            "kind": row.step.kind,
            "id": str(row.id),
            "cached": row.cached,
            "seconds": row.step.seconds,
            "needs": list(row.step.needs),
        }
        for name, row in plan.rows.items()
    ]
    return {
        "name": recipe.name,
        "version": recipe.version,
        "steps": steps,
        "seconds": plan.seconds,
        "bytes": {"store": space.store, "archives": space.output},
    }


def summary_lines(document: BundleIndex, seconds: Mapping[str, float], cached: int, total: float) -> list[str]:
    """The finished bundle as lines: archives, images, where the time went. `seconds` by step that ran."""
    lines = [f"{document.name} {document.version} for {document.platform}, sequence {document.sequence}"]
    for archive in document.archives:
        lines.append(f"  {archive.path}  {human_bytes(archive.size)}  sha256:{archive.sha256.hex}")
        lines += [
            f"    {image.reference}  {image.digest}" for image in document.images if image.archive == archive.path
        ]
    lines += [f"  chart {chart.name} {chart.version}" for chart in document.charts]
    lines.append(f"  {len(seconds)} steps run, {cached} cached, {total:.1f} s")
    slowest = sorted(seconds.items(), key=lambda item: -item[1])[:_SLOWEST]
    lines += [f"    {spent:7.1f} s  {name}" for name, spent in slowest if spent >= 1]
    return lines


def duration(seconds: int) -> str:
    """`45 s`, `7 min`."""
    return f"{seconds} s" if seconds < 90 else f"{round(seconds / 60)} min"
