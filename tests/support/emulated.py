"""Programs of a build for another machine, run by qemu-user: no container, no kernel of their own."""

import subprocess
from pathlib import Path
from typing import Final

from bundles.platform import Platform

QEMU: Final = "qemu-aarch64-static"  # Debian's qemu-user-static
ARM64: Final = Platform(os="linux", architecture="arm64")


def emulated(program: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs an arm64 program to its end."""
    return subprocess.run([QEMU, program, *words], input=stdin, capture_output=True, timeout=60, check=False)
