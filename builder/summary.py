"""The words around a build: the plan before it, the summary after it. Pure: values in, text out."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from builder.plan.graph import Plan
from builder.recipe.model import Recipe
from builder.space import Space
from builder.times import Took
from bundles.index import BundleIndex
from bundles.talk import human_bytes

_SLOWEST = 5


def plan_lines(
    recipe: Recipe, plan: Plan, space: Space, jobs: int, times: Mapping[str, Took] = MappingProxyType({})
) -> list[str]:
    """The plan as lines: every step, what is cached, and what the rest may take; `times`: what steps took before."""
    width = max((len(name) for name in plan.rows), default=0)
    lines = [f"plan: {recipe.name} {recipe.version}, {len(plan.rows)} steps, {len(plan.missing)} to run"]
    for name, row in plan.rows.items():
        took = times.get(name)
        state = f"about {row.step.seconds} s" if took is None else f"took {took.words}"
        if row.cached:
            state = "cached" if took is None else f"cached, {state}"
        lines.append(f"  {name:{width}}  {row.id.hex[:12]}  {state}")
    if plan.missing:
        lines.append(
            f"  at most about {duration(_seconds(plan, times))} with {jobs} jobs;"
            f" about {human_bytes(space.store)} more in the store, {human_bytes(space.output)} of archives"
        )
    cold, last = whole(plan, times)
    lines.append(
        f"  all of it, one step after the other: about {duration(cold)} cold, {duration(last)} as it last ran here"
    )
    return lines


def whole(plan: Plan, times: Mapping[str, Took]) -> tuple[int, int]:
    """Seconds that all steps take from nothing, and took when they last ran in this store; estimates where unknown."""
    steps = {row.id: row.step for row in plan.rows.values()}.values()  # one content id is built once
    known = [(step, times.get(step.name)) for step in steps]
    cold = sum(took.cold / 1000 if took else step.seconds for step, took in known)
    last = sum(took.last / 1000 if took else step.seconds for step, took in known)
    return round(cold), round(last)


def _seconds(plan: Plan, times: Mapping[str, Took]) -> int:
    """What is missing, one after the other: measured where it was, else estimated."""
    once = {plan.rows[job.step.name].id: job.step for job in plan.missing}.values()
    return sum(times[step.name].last // 1000 if step.name in times else step.seconds for step in once)


def plan_document(
    recipe: Recipe, plan: Plan, space: Space, times: Mapping[str, Took] = MappingProxyType({})
) -> dict[str, Any]:
    """The plan for `--json`."""
    steps = [
        {
            "name": name,
            "kind": row.step.kind,
            "id": str(row.id),
            "cached": row.cached,
            "seconds": row.step.seconds,
            "needs": list(row.step.needs),
            **({"took": {"cold": times[name].cold, "last": times[name].last}} if name in times else {}),
        }
        for name, row in plan.rows.items()
    ]
    return {
        "name": recipe.name,
        "version": recipe.version,
        "steps": steps,
        "seconds": plan.seconds,
        "whole": dict(zip(("cold", "last"), whole(plan, times), strict=True)),
        "bytes": {"store": space.store, "archives": space.output},
    }


def summary_lines(
    document: BundleIndex,
    seconds: Mapping[str, float],
    cached: int,
    total: float,
    times: Mapping[str, Took] = MappingProxyType({}),
) -> list[str]:
    """The finished bundle as lines: archives, images, where the time went. `seconds` by step that ran."""
    lines = [f"{document.name} {document.version} for {document.platform}, sequence {document.sequence}"]
    for archive in document.archives:
        lines.append(f"  {archive.path}  {human_bytes(archive.size)}  sha256:{archive.sha256.hex}")
        lines += [
            f"    {image.reference}  {image.digest}" for image in document.images if image.archive == archive.path
        ]
    lines += [f"  chart {chart.name} {chart.version}" for chart in document.charts]
    lines.append(f"  {len(seconds)} steps run, {cached} cached, {total:.1f} s")
    slowest = sorted(seconds.items(), key=lambda item: -item[1])
    shown = [(name, spent) for number, (name, spent) in enumerate(slowest)
             if spent >= 1 and (number < _SLOWEST or name.startswith("component "))]  # fmt: skip
    lines += [f"    {spent:7.1f} s  {name}{_cold(times.get(name))}" for name, spent in shown]
    return lines


def _cold(took: Took | None) -> str:
    """What the longest run took, where this was another one."""
    return f"  (cold {took.cold / 1000:.1f} s)" if took is not None and took.cold != took.last else ""


def duration(seconds: int) -> str:
    """`45 s`, `7 min`."""
    return f"{seconds} s" if seconds < 90 else f"{round(seconds / 60)} min"
