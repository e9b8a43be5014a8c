"""Peak memory of the readers' processes, for a small bundle and for one of 4 GB: bounded, and flat."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.model import Figure
from bench.synthetic import synthetic_bundle
from bench.timing import Bench

SIZES: Mapping[str, int] = {"200 MB": 200_000_000, "4 GB": 4_000_000_000}
BOUND = 150.0  # MB
FLAT = 30.0  # MB: threads do not always hold their largest pieces at the same time
NOTE = "resident set of the process, libraries included, as wait4(2) tells it; noise that does not compress"


def measure(bench: Bench) -> Iterable[Figure]:
    """verify, stage and extract of each size; the figures of one command stand together."""
    peaks = {name: _peaks(bench, size) for name, size in SIZES.items()}
    small, large = SIZES
    for verb in peaks[small]:
        for name in SIZES:
            value = peaks[name][verb]
            yield Figure(
                what=f"peak memory of {verb}, {name}",
                value=value,
                unit="MB",
                reach="<=",
                bound=BOUND,
                ours=f"{value:.0f} MB",
                note=NOTE,
            )
        grown = peaks[large][verb] - peaks[small][verb]
        yield Figure(
            what=f"peak memory of {verb}: what {large} takes more than {small}",
            value=grown,
            unit="MB",
            reach="<=",
            bound=FLAT,
            ours=f"{grown:.0f} MB",
        )


def _peaks(bench: Bench, size: int) -> dict[str, float]:
    """Verb -> peak in MB."""
    made = bench.scratch / "made"
    data = bench.scratch / "data"
    data.mkdir()
    try:
        bundle = synthetic_bundle(bench, made, size)
        return {verb: bench.run(command).peak_bytes / 1e6 for verb, command in _commands(bench, bundle, data).items()}
    finally:
        for folder in (made, data):
            shutil.rmtree(folder, ignore_errors=True)


def _commands(bench: Bench, bundle: Path, data: Path) -> dict[str, tuple[str | Path, ...]]:
    unsigned = ("--insecure-no-signature", "--progress", "none")
    node = bench.program("sealift-node")
    return {
        "verify": (bench.program("sealift"), "verify", bundle, *unsigned),
        "stage": (node, "stage", bundle, "--data-dir", data, *unsigned),
        "extract": (node, "extract", "--data-dir", data),
    }
