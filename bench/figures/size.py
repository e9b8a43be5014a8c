"""Size of the runtime image's archive against the same image in RKE2's release form."""

from collections.abc import Iterable

from bench.model import Figure
from bench.rke2way import release_archive
from bench.timing import Bench

ARCHIVE = "images/rke2-runtime.linux-amd64.tar"


def measure(bench: Bench) -> Iterable[Figure]:
    """One ratio; our archive is as the default recipe builds it."""
    ours = (bench.bundle / ARCHIVE).stat().st_size
    theirs = release_archive([bench.bundle / ARCHIVE], bench.scratch / "runtime.tar.zst").stat().st_size
    yield Figure(
        what="size of the runtime archive against RKE2's release way",
        value=ours / theirs,
        unit="x",
        reach="<=",
        bound=0.92,
        ours=f"{ours / 1e6:.1f} MB",
        theirs=f"{theirs / 1e6:.1f} MB",
        note="ours: zstd level 9 in frames of 8 MiB; theirs: gzip -6 layers below zstd -16 --long=25",
    )
