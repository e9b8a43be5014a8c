"""Layers: the tar of one, and the compression around it."""

from typing import Final

from tests.fuzz import modes, stream_readers, tar_readers
from tests.fuzz.model import Target

READERS: Final[dict[str, modes.Reader]] = {**tar_readers.READERS, **stream_readers.READERS}

TARGET: Final = Target(
    read=modes.by_first_byte(READERS),
    seeds=lambda: modes.seeds(READERS, {**tar_readers.EXAMPLES, **stream_readers.EXAMPLES}),
    least=50,
)
