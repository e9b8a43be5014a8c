"""The images of the mirror job into an empty registry, by us and by skopeo, with 10 ms a request on the way there."""

import itertools
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import mirrorjob
from bench.model import Figure, Sample, fastest
from bench.timing import Bench
from tests.support.registry import running_registry

# One process an image, as sites script it, out of an OCI layout, which skopeo need not unpack again for each.
COPY = (
    'for name in "$@"; do '
    'skopeo copy -q --dest-tls-verify=false "oci:$LAYOUT:$name" "docker://$TARGET/${name#*/}" || exit 1; done'
)
_FRESH = itertools.count()


@dataclass(frozen=True)
class Pushed:
    """One push of each: what it cost, and what the line to ours counted."""

    ours: Sample
    again: Sample
    theirs: Sample
    stored: int  # bytes that lie in our registry


def measure(bench: Bench) -> Iterable[Figure]:
    """push of all images to an empty registry, both sides to one of their own; and ours again."""
    bundle, names, layout = _prepare(bench)
    runs = [_both(bench, bundle, names, layout) for _ in range(bench.runs)]
    ours, theirs = fastest([one.ours for one in runs]), fastest([one.theirs for one in runs])
    yield Figure(
        what=f"push of {len(names)} images to an empty registry against skopeo, wall",
        value=ours.seconds / theirs.seconds, unit="x", reach="<=", bound=0.4,
        ours=f"{ours.seconds:.1f} s", theirs=f"{theirs.seconds:.1f} s",
        note="10 ms a request; ours puts the bundle there as well",
    )  # fmt: skip
    yield Figure(
        what="the same, CPU", value=ours.cpu_seconds / theirs.cpu_seconds, unit="x", reach="<=", bound=0.5,
        ours=f"{ours.cpu_seconds:.1f} s", theirs=f"{theirs.cpu_seconds:.1f} s",
    )  # fmt: skip
    size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    stored = max(one.stored for one in runs)
    yield Figure(
        what="bytes that the registry has then, of the bundle's", value=stored / size, unit="x", reach="<=", bound=1.01,
        ours=f"{stored / 1e6:.0f} MB", theirs=f"{size / 1e6:.0f} MB", note="shared layers are mounted",
    )  # fmt: skip
    again = fastest([one.again for one in runs])
    yield Figure(
        what="push again, nothing changed", value=again.seconds / ours.seconds, unit="x", reach="<=", bound=0.3,
        ours=f"{again.seconds:.1f} s", theirs=f"{ours.seconds:.1f} s",
    )  # fmt: skip


def _prepare(bench: Bench) -> tuple[Path, list[str], Path]:
    """The bundle of the job, the names of its images, and its archive as a layout in a folder."""
    source = bench.scratch / "source"
    source.mkdir()
    out = bench.scratch / "out"
    store = {"SEALIFT_STORE": str(bench.scratch / "store")}
    with running_registry(source) as registry:
        mirrorjob.publish(registry, mirrorjob.IMAGES)
        recipe = mirrorjob.recipe(bench.scratch / "recipe", registry.host, mirrorjob.IMAGES)
        bench.run((bench.program("sealift"), "lock", recipe), env=store)
        bench.run((bench.program("sealift"), "build", recipe, "--output", out), env=store)
        names = [f"{registry.host}/{mirrorjob.name(number)}:v1" for number in range(mirrorjob.IMAGES)]
    shutil.rmtree(source)
    shutil.rmtree(bench.scratch / "store")
    (bundle,) = out.iterdir()
    (archive,) = (bundle / "images").glob("images.*.tar")
    layout = bench.scratch / "layout"
    layout.mkdir()
    bench.run(("tar", "-xf", archive, "-C", layout))
    return bundle, names, layout


def _both(bench: Bench, bundle: Path, names: list[str], layout: Path) -> Pushed:
    """Each to a registry of its own, so that neither finds the other's blobs in the storage."""
    ours, theirs = [], []
    stored = 0
    for skopeo in (False, True):
        folder = bench.scratch / f"push{next(_FRESH)}"
        folder.mkdir()
        with running_registry(folder) as registry, mirrorjob.line(registry) as way:
            if skopeo:
                env = {"LAYOUT": str(layout), "TARGET": f"{way.host}/hub"}
                theirs.append(bench.run(("sh", "-c", COPY, "sh", *names), env=env))
            else:
                push = (bench.program("sealift"), "push", bundle, f"{way.host}/x/job:v1", "--images", f"{way.host}/hub")
                ours += [bench.run(push), bench.run(push)]
                blobs = (folder / "blobs/docker/registry/v2/blobs").rglob("data")
                stored = sum(path.stat().st_size for path in blobs)
        shutil.rmtree(folder)
    return Pushed(ours=ours[0], again=ours[1], theirs=theirs[0], stored=stored)
