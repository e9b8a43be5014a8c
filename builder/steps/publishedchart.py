"""Published charts: somebody's .tgz, byte for byte, in a HelmChart manifest."""

import functools
from typing import Final

from builder.errors import StepError
from builder.lock.model import LockedChart, LockedFile
from builder.plan.model import Output, Receipt, Step
from builder.recipe.fetched import PublishedChart
from builder.steps.chart import manifest_text
from builder.steps.context import Job, StepContext
from builder.steps.url import checked_blob

VERSION: Final = 1


def describe(chart: PublishedChart, locked: LockedChart) -> Job:
    """Chart and its locked package -> its job. Pure."""
    step = Step(
        name=f"chart {chart.name}",
        kind="published-chart",
        version=VERSION,
        description={
            "digest": str(locked.digest),
            "manifest": chart.manifest_name,
            "bootstrap": chart.bootstrap,
            "take_ownership": chart.take_ownership,
            "url": chart_url(locked),
        },
        size=2 * locked.size,
    )
    return Job(step=step, run=functools.partial(_run, chart, locked))


def chart_url(locked: LockedChart) -> str:
    """Where the package lies, as helm would be told."""
    kind, _, place = locked.source.partition(":")
    return locked.url or (f"oci://{place}" if kind == "oci" else place)


def _run(chart: PublishedChart, locked: LockedChart, context: StepContext) -> Receipt:
    from builder.sources.charts import chart_in  # with all that fetches: a build of what is there needs none of it

    file = LockedFile(name=f"{chart.name}.tgz", size=locked.size, digest=locked.digest)
    path = checked_blob(context.store, file)
    found = chart_in(path, locked.source)
    if found.version != locked.version:
        hint = "the lock was edited: run sealift lock"
        raise StepError("another version than locked", where=locked.source, got=found.version, want=locked.version,
                        hint=hint)  # fmt: skip
    archive_name = f"{found.name}-{found.version}.tgz"
    manifest = manifest_text(chart, archive_name, path.read_bytes(), url=chart_url(locked)).encode()
    outputs = {
        archive_name: Output(digest=locked.digest, size=locked.size),
        f"{chart.manifest_name}.yaml": Output(digest=context.store.put(manifest), size=len(manifest)),
    }
    return Receipt(outputs=outputs, facts={"name": found.name, "version": found.version, "archive": archive_name})
