"""containerd imports and unpacks the runtime image: from a sealed archive, and from RKE2's `.tar.zst`."""

import os
from collections.abc import Iterable
from pathlib import Path

from bench.model import Figure, Sample, fastest
from bench.rke2way import release_archive
from bench.timing import Bench
from tests.support.containerd import Containerd

ARCHIVE = "images/rke2-runtime.linux-amd64.tar"
# ctr reads no .tar.zst: RKE2's agent decompresses in its own process, as zstd does here beside it.
_PACKED = 'zstd -q -dc --long=25 "$1" | "$2" -a "$3" images import -'
_PLAIN = '"$2" -a "$3" images import "$1"'


def measure(bench: Bench) -> Iterable[Figure]:
    """The bundle's own containerd, a new and empty one for each run."""
    node = bench.scratch / "node"
    data = ("--data-dir", node)
    bench.run((bench.program("sealift-node"), "stage", bench.bundle, *data, "--insecure-no-signature"))
    bench.run((bench.program("sealift-node"), "extract", *data))
    (programs,) = {path.resolve().parent for path in node.glob("data/*/bin/containerd")}
    sealed = bench.bundle / ARCHIVE
    packed = release_archive([sealed], bench.scratch / "runtime.tar.zst")
    ours, theirs = [], []
    for number in range(bench.runs):
        ours.append(_import(bench, programs, _PLAIN, sealed, f"ours-{number}"))
        theirs.append(_import(bench, programs, _PACKED, packed, f"theirs-{number}"))
    mine, other = fastest(ours), fastest(theirs)
    yield Figure(
        what="containerd: import and unpack of the runtime, against RKE2's .tar.zst",
        value=other.seconds / mine.seconds,
        unit="x",
        reach=">=",
        bound=2,
        ours=f"{mine.seconds:.2f} s",
        theirs=f"{other.seconds:.2f} s",
        note="the bundle's containerd with overlayfs, empty before each run; it verifies digests of both",
    )


def _import(bench: Bench, programs: Path, script: str, archive: Path, name: str) -> Sample:
    with Containerd(os.fspath(programs), bench.scratch / name) as daemon:
        return bench.run(("sh", "-ec", script, "sh", archive, programs / "ctr", daemon.socket))
