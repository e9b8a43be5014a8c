"""Peak memory and time of signing a bundle of 4 GB and of checking its signature: only the small index is signed."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from bench.model import Figure
from bench.synthetic import synthetic_bundle
from bench.timing import Bench

SIZE = 4_000_000_000  # bytes
BOUND = 120.0  # MB
NOTE = "resident set of the process, libraries included, as wait4(2) tells it"
ENVIRONMENT = {"SEALIFT_PASSWORD": "bench"}


def measure(bench: Bench) -> Iterable[Figure]:
    """`sign` reads the bundle before it signs, `verify` after it checked the signature."""
    made = bench.scratch / "made"
    try:
        bundle = synthetic_bundle(bench, made, SIZE)
        for verb, command in _commands(bench, bundle):
            sample = bench.run(command, env=ENVIRONMENT)
            if verb == "keygen":
                continue
            peak = sample.peak_bytes / 1e6
            yield Figure(
                what=f"peak memory of {verb}, 4 GB",
                value=peak,
                unit="MB",
                reach="<=",
                bound=BOUND,
                ours=f"{peak:.0f} MB, {sample.seconds:.1f} s",
                note=NOTE,
            )
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _commands(bench: Bench, bundle: Path) -> Iterable[tuple[str, tuple[str | Path, ...]]]:
    sealift = bench.program("sealift")
    key = bench.scratch / "bench"
    quiet = ("--progress", "none")
    return (
        ("keygen", (sealift, "keygen", key)),
        ("sign", (sealift, "sign", bundle, "--key", key.with_suffix(".key"), *quiet)),
        ("verify --key", (sealift, "verify", bundle, "--key", key.with_suffix(".pub"), *quiet)),
    )
