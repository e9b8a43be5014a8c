"""Peak memory of a build's own process, for a small bundle and for one of 4 GB: bounded, and flat."""

import shutil
import sys
from collections.abc import Iterable, Mapping

from bench.model import Figure
from bench.timing import Bench

SIZES: Mapping[str, int] = {"200 MB": 200_000_000, "4 GB": 4_000_000_000}
BOUND = 150.0  # MB
FLAT = 1.25  # how much more the large bundle may take: threads do not always hold their largest pieces at one time


def measure(bench: Bench) -> Iterable[Figure]:
    """From files beside the recipe to the verified bundle, everything in one process: nothing is compiled."""
    peaks = {name: _peak(bench, size) for name, size in SIZES.items()}
    for name, peak in peaks.items():
        yield Figure(
            what=f"peak memory of build, {name}",
            value=peak,
            unit="MB",
            reach="<=",
            bound=BOUND,
            ours=f"{peak:.0f} MB",
            note="resident set, libraries included, as wait4(2) tells it; noise, at level 9, with two jobs",
        )
    small, large = SIZES
    yield Figure(
        what=f"peak memory of build, {large} against {small}",
        value=peaks[large] / peaks[small],
        unit="x",
        reach="<=",
        bound=FLAT,
        ours=f"{peaks[large]:.0f} MB",
        theirs=f"{peaks[small]:.0f} MB",
    )


def _peak(bench: Bench, size: int) -> float:
    """Peak in MB; four times `size` lies on the disk for a while: sources, the store's copies, frames, the bundle."""
    folder = bench.scratch / "made"
    recipe, store, output = (folder / name for name in ("recipe", "store", "out"))
    try:
        bench.run((sys.executable, "-m", "bench.noise", recipe, str(size)), cwd=bench.root)
        places = ("--store", store, "--output", output)
        build = (bench.program("sealift"), "build", recipe, *places, "--jobs", "2", "--progress", "none")
        return bench.run(build).peak_bytes / 1e6
    finally:
        shutil.rmtree(folder, ignore_errors=True)
