"""Registries: the shipped bundle pushed and pulled, against skopeo with the same images, registries on loopback."""

import itertools
import shutil
from collections.abc import Iterable
from pathlib import Path

from bench.model import Figure, Sample, fastest
from bench.timing import Bench
from bundles import index
from tests.support.registry import running_registry

# One process an image, as sites script it; archives to the registry, or the registry to archives.
COPY_IN = 'for pair in "$@"; do skopeo copy -q --dest-tls-verify=false "${pair%% *}" "${pair##* }" || exit 1; done'
COPY_OUT = 'for pair in "$@"; do skopeo copy -q --src-tls-verify=false "${pair%% *}" "${pair##* }" || exit 1; done'
_FRESH = itertools.count()


def measure(bench: Bench) -> Iterable[Figure]:
    """push to an empty repository, push again, pull."""
    folder = bench.scratch / "registry"
    folder.mkdir()
    with running_registry(folder) as registry:
        pushes = [_push_both(bench) for _ in range(bench.runs)]
        place = f"{registry.host}/kept/rke2:v1"
        push = (bench.program("sealift"), "push", bench.bundle, place, "--images", f"{registry.host}/kept")
        bench.run(push)
        again = fastest([bench.run(push) for _ in range(bench.runs)])
        pulls = [_pull_both(bench, registry.host) for _ in range(bench.runs)]
    ours, theirs = (fastest([pair[at] for pair in pushes]) for at in (0, 1))
    yield _ratio("push of bundle and images against skopeo, wall", ours, theirs, 0.4, "both to an empty registry")
    yield Figure(what="push again, nothing changed", value=again.seconds, unit="s", reach="<=", bound=0.75,
                 ours=f"{again.seconds:.2f} s", note="signatures and every image are asked for")  # fmt: skip
    ours, theirs = (fastest([pair[at] for pair in pulls]) for at in (0, 1))
    yield _ratio(
        "pull of the bundle against skopeo, wall", ours, theirs, 0.5, "ours is flushed to the disk, theirs not"
    )
    peak = max(sample.peak_bytes for sample in (ours, again, *(pair[0] for pair in pushes))) / 1e6
    yield Figure(what="memory of push and pull", value=peak, unit="MB", reach="<=", bound=64, ours=f"{peak:.0f} MB")


def _push_both(bench: Bench) -> tuple[Sample, Sample]:
    document = index.decode((bench.bundle / index.INDEX_NAME).read_bytes())
    samples = []
    for skopeo in (False, True):
        # A registry of its own, so that neither finds the other's blobs in the storage.
        folder = bench.scratch / f"push{next(_FRESH)}"
        folder.mkdir()
        with running_registry(folder) as registry:
            place = registry.host
            if skopeo:
                pairs = [
                    f"oci-archive:{bench.bundle / image.archive}:{_name(document, image)} "
                    f"docker://{place}/x/{image.reference.removeprefix('docker.io/')}"
                    for image in document.images
                ]
                samples.append(bench.run(("sh", "-c", COPY_IN, "sh", *pairs)))
            else:
                words = ("push", bench.bundle, f"{place}/x/rke2:v1", "--images", f"{place}/x")
                samples.append(bench.run((bench.program("sealift"), *words)))
        shutil.rmtree(folder)
    return samples[0], samples[1]


def _pull_both(bench: Bench, host: str) -> tuple[Sample, Sample]:
    document = index.decode((bench.bundle / index.INDEX_NAME).read_bytes())
    out = bench.scratch / "pulled"
    ours = bench.run((bench.program("sealift"), "pull", f"{host}/kept/rke2:v1", "--output", out))
    shutil.rmtree(out)
    pairs = [
        f"docker://{host}/kept/{image.reference.removeprefix('docker.io/')} oci:{out}:{at}"
        for at, image in enumerate(document.images)
    ]
    theirs = bench.run(("sh", "-c", COPY_OUT, "sh", *pairs))
    shutil.rmtree(out)
    return ours, theirs


def _name(document: index.BundleIndex, image: index.Image) -> str:
    """The image's name in its archive, as index.json has it: the tag alone where it is the only one."""
    alone = sum(other.archive == image.archive for other in document.images) == 1
    return Path(image.reference).name.partition(":")[2] if alone else image.reference


def _ratio(what: str, ours: Sample, theirs: Sample, bound: float, note: str) -> Figure:
    return Figure(
        what=what, value=ours.seconds / theirs.seconds, unit="x", reach="<=", bound=bound,
        ours=f"{ours.seconds:.2f} s", theirs=f"{theirs.seconds:.2f} s", note=note,
    )  # fmt: skip
