"""Bundles made for a measure, in a process of their own: what the bench has in memory counts for what it starts."""

import sys
from pathlib import Path

from bench.timing import Bench


def synthetic_bundle(bench: Bench, parent: Path, size: int) -> Path:
    """Makes a bundle of about `size` bytes below `parent`, a new folder -> the bundle's folder."""
    parent.mkdir()
    bench.run((sys.executable, "-m", "tests.support.bigbundle", parent, str(size)), cwd=bench.root)
    (made,) = parent.iterdir()
    return made
