"""What a recipe that was built left in the store."""

import os
from pathlib import Path

from builder.build import plan_build, read_sources
from builder.store import Store
from bundles.platform import Platform
from tests.support.gotools import store_root
from tests.support.stepping import AMD64


def built_programs(recipe: Path, folder: Path, platform: Platform = AMD64, component: str = "") -> dict[str, Path]:
    """The programs of a recipe's components, or of one, written into a folder."""
    store = Store(store_root())
    plan = plan_build(read_sources(recipe).of(platform), platform, store, os.environ, AMD64)
    found: dict[str, Path] = {}
    for name, row in plan.rows.items():
        if not name.startswith("component ") or component not in ("", name.removeprefix("component ")):
            continue
        receipt = store.receipt(row.id)
        for output, kept in receipt.outputs.items() if receipt is not None else ():
            found[output] = folder / output
            found[output].write_bytes(store.read(kept.digest))
            found[output].chmod(0o755)
    return found
