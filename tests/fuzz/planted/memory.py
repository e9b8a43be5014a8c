"""A reader that believes a size before it has bounded it."""

from tests.fuzz.model import Target


def read(data: bytes) -> bool:
    """Allocates what the second byte says, in units of 64 MiB."""
    return len(data) > 1 and data[0] == 0x4D and len(bytearray(data[1] << 26)) > 0


TARGET = Target(read=read, seeds=lambda: [b"A good seed", b"M\xff"], least=1, packages=("tests",))
