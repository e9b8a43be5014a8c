"""Charts: a source folder becomes a .tgz, always the same bytes, and a HelmChart manifest in RKE2's form."""

import base64
import functools
import json
import zlib
from collections.abc import Iterable
from typing import Final

from builder.errors import StepError
from builder.lock.model import LockedChart
from builder.plan.model import Output, Receipt, Step
from builder.recipe.model import Chart, FolderChart
from builder.recipe.places import beside
from builder.steps.context import Job, StepContext
from builder.tree import files_digest, folder_files
from bundles import ustar

VERSION: Final = 1
_LEVEL: Final = 9
_GZIP: Final = 16 + zlib.MAX_WBITS  # gzip header and trailer, the largest window (zlib.h, deflateInit2)


def describe(chart: FolderChart, locked: LockedChart, epoch: int) -> Job:
    """Chart and its locked folder -> its job. Pure but for the name of the zlib in use, which decides bytes."""
    step = Step(
        name=f"chart {chart.name}",
        kind="chart",
        version=VERSION,
        description={
            "digest": str(locked.digest),
            "name": locked.name,
            "version": locked.version,
            "manifest": chart.manifest_name,
            "bootstrap": chart.bootstrap,
            "take_ownership": chart.take_ownership,
            "epoch": epoch,
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
        },
    )
    return Job(step=step, run=functools.partial(_run, chart, locked))


def _run(chart: FolderChart, locked: LockedChart, context: StepContext) -> Receipt:
    found = folder_files(beside(context.recipe, chart.folder))
    if (got := files_digest(found)) != locked.digest:
        hint = "run `sealift lock` if the change is meant"
        raise StepError("changed since it was locked", where=chart.folder, got=got, want=locked.digest, hint=hint)
    if not any(file.path == "Chart.yaml" for file in found):
        raise StepError("no Chart.yaml", where=chart.folder)
    files = [(file.path, file.read()) for file in found]
    archive = package(locked.name, files, context.lock.epoch)
    archive_name = f"{locked.name}-{locked.version}.tgz"
    manifest = manifest_text(chart, archive_name, archive).encode()
    written = {archive_name: archive, f"{chart.manifest_name}.yaml": manifest}
    outputs = {name: Output(digest=context.store.put(content), size=len(content)) for name, content in written.items()}
    return Receipt(outputs=outputs, facts={"name": locked.name, "version": locked.version, "archive": archive_name})


def package(name: str, files: Iterable[tuple[str, bytes]], epoch: int) -> bytes:
    """Files (path below the chart, content) -> a chart archive as Helm reads it.

    Deterministic: sorted by path, plain ustar, owner 0, mode 0644, the given time, and a gzip header that holds none.
    """
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    out = []
    for path, content in sorted(files):
        header = ustar.encode(ustar.Header(name=f"{name}/{path}", mode=0o644, size=len(content), mtime=epoch))
        out += [packer.compress(header), packer.compress(content), packer.compress(bytes(ustar.padding(len(content))))]
    out += [packer.compress(bytes(2 * ustar.BLOCK)), packer.flush()]
    return b"".join(out)


def manifest_text(chart: Chart, archive_name: str, archive: bytes, url: str = "") -> str:
    """The HelmChart manifest, with the keys in the order of RKE2's own (rke2/charts/build-chart.sh).

    `chart-url` names where the content came from: `url`, else the bundle itself.
    """
    yes_no = {True: "true", False: "false"}
    return "\n".join(
        [
            "apiVersion: helm.cattle.io/v1",
            "kind: HelmChart",
            "metadata:",
            f"  name: {json.dumps(chart.manifest_name)}",
            '  namespace: "kube-system"',
            "  annotations:",
            f"    helm.cattle.io/chart-url: {json.dumps(url or f'sealift:{archive_name}')}",
            '    rke2.cattle.io/inject-cluster-config: "true"',
            "spec:",
            "  forceConflicts: true",
            "  failurePolicy: retry",
            f"  bootstrap: {yes_no[chart.bootstrap]}",
            f"  takeOwnership: {yes_no[chart.take_ownership]}",
            f"  chartContent: {base64.b64encode(archive).decode()}",
            "",
        ]
    )
