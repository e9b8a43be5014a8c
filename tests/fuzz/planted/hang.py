"""A reader that never comes back from one input."""

from tests.fuzz.model import Target


def read(data: bytes) -> bool:
    """Turns around for ever."""
    while data[:1] == b"H":
        pass
    return len(data) > 3


TARGET = Target(read=read, seeds=lambda: [b"A good seed", b"Hang"], least=1, packages=("tests",))
