"""What the strict reader has read before, for a caller that keeps notes of it: the builder, of bundles it delivers.

What it says is not read again is what cannot have changed: content is named by its digest, and that digest is still
checked. A node keeps no such notes: it reads everything.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from bundles.digest import Digest
from bundles.sealed.report import LayerReport

READER: Final = 1  # raised when a full reading refuses more than before: older notes count no longer


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """`archives`: paths of files that were verified and that nobody touched since; held to their place and size alone.

    `layers`: what full readings told of layers, by the digest of what is stored. Such a layer's bytes are hashed; what
    they hold (diff id, frames) follows from the digest, and is compared with the report.
    """

    archives: Collection[str] = ()
    layers: Mapping[Digest, LayerReport] = field(default_factory=lambda: MappingProxyType({}))
