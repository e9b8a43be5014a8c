"""Damage, one bit at a time; the same call again mends it."""

from pathlib import Path


def flip(path: Path, offset: int, bit: int = 0x10) -> None:
    """Flips one bit of the byte at `offset`, in place."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ bit]))
