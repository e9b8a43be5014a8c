"""Start-up: what a command costs before it does anything."""

from collections.abc import Iterable

from bench.model import Figure, fastest
from bench.timing import Bench

BOUND = 0.15  # seconds


def measure(bench: Bench) -> Iterable[Figure]:
    """The versions of both programs, and a look at the bundle."""
    sealift, node = bench.program("sealift"), bench.program("sealift-node")
    for what, command in (
        ("sealift --version", (sealift, "--version")),
        ("sealift-node --version", (node, "--version")),
        ("sealift inspect", (sealift, "inspect", bench.bundle)),
    ):
        bench.run(command)  # the first one reads the modules from the disk
        best = fastest([bench.run(command) for _ in range(3 * bench.runs)])
        yield Figure(
            what=f"start-up: {what}",
            value=best.seconds,
            unit="s",
            reach="<=",
            bound=BOUND,
            ours=f"{best.seconds:.3f} s",
        )
