"""Programs of a build for another machine, run by qemu-user: no container, no kernel of their own."""

import os
import subprocess
from pathlib import Path
from typing import Final

from builder.build import plan_build, read_sources
from builder.store import Store
from bundles.platform import Platform
from tests.support.gotools import store_root
from tests.support.stepping import AMD64

QEMU: Final = "qemu-aarch64-static"  # Debian's qemu-user-static
ARM64: Final = Platform(os="linux", architecture="arm64")


def built_programs(recipe: Path, folder: Path) -> dict[str, Path]:
    """The arm64 programs of a recipe that was built, written into a folder."""
    store = Store(store_root())
    plan = plan_build(read_sources(recipe).of(ARM64), ARM64, store, os.environ, AMD64)
    found: dict[str, Path] = {}
    for name, row in plan.rows.items():
        receipt = store.receipt(row.id) if name.startswith("component ") else None
        for output, kept in receipt.outputs.items() if receipt is not None else ():
            found[output] = folder / output
            found[output].write_bytes(store.read(kept.digest))
            found[output].chmod(0o755)
    return found


def emulated(program: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs an arm64 program to its end."""
    return subprocess.run([QEMU, program, *words], input=stdin, capture_output=True, timeout=60, check=False)
