"""A reader with a bug behind a word that only coverage finds."""

from tests.fuzz.model import Target


def read(data: bytes) -> bool:
    """Fails for one word."""
    for at, byte in enumerate(b"BUG"):
        if data[at : at + 1] != bytes([byte]):
            return at > 0
    raise KeyError("planted")


TARGET = Target(read=read, seeds=lambda: [b"A good seed"], least=1, packages=("tests",))
