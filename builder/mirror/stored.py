"""A layer that somebody else made: its bytes are what they are, and lie in one piece."""

from dataclasses import dataclass
from typing import ClassVar

from bundles.digest import Digest
from bundles.layers.model import Frame, Part


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredLayer:
    """`digest` and `size` in bytes of the layer as it is stored and as it goes into an archive."""

    digest: Digest
    size: int
    frames: ClassVar[tuple[Frame, ...]] = ()
    parts: ClassVar[tuple[Part, ...]] = ()
