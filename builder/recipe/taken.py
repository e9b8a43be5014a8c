"""What a recipe says of images that are taken over as somebody published them."""

from dataclasses import dataclass
from typing import ClassVar

from bundles.reference import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class MirrorImage:
    """An image from a registry, its digests untouched.

    `source` is what is asked for (a tag, a digest, or both); `reference` is its name in the bundle, with a tag and
    without a digest. `keep_index` None: the original index is kept where something pins its digest.
    """

    name: str
    source: Reference
    reference: Reference
    keep_index: bool | None = None
    layers: ClassVar[tuple[()]] = ()  # nothing is put into it
