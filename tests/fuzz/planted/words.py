"""A reader whose refusal could command a terminal."""

from bundles.errors import FormatError
from tests.fuzz.model import Target, taken


class RudeError(FormatError):
    """Says what it was given, as it was given."""

    def __str__(self) -> str:
        """Not escaped."""
        return self.message


def refuse(data: bytes) -> bool:
    """Repeats what it was given."""
    raise RudeError("not taken: " + data.decode("latin-1"))


TARGET = Target(
    read=lambda data: taken(refuse, data) is not None, seeds=lambda: [b"plain"], least=1, packages=("tests",)
)
