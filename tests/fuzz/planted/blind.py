"""A target that looks at nothing: it finds nothing, and that proves nothing."""

from tests.fuzz.model import Target


def read(data: bytes) -> bool:
    """Takes everything."""
    return True


TARGET = Target(read=read, seeds=lambda: [b"A good seed"], least=1, packages=("tests",))
