"""What was found in an archive of another tool: an image whose layers can be read, and are checked while they are."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from bundles.digest import Digest
from bundles.platform import Platform
from bundles.reference import Reference

LayerOpener = Callable[["OpenableLayer", int], AbstractContextManager[Iterator[bytes]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenableLayer:
    """One layer: `digest` and `size` (bytes) as stored, `diff_id` of its uncompressed tar.

    `digest` is None where no document of the archive tells it (docker save without an index): the diff id, which the
    config's digest vouches for, then stands alone.
    """

    diff_id: Digest
    digest: Digest | None
    size: int
    where: str
    opener: LayerOpener = field(repr=False, compare=False)

    def open(self, *, max_content: int = 16 << 30) -> AbstractContextManager[Iterator[bytes]]:
        """The uncompressed tar in pieces, within 200 times the stored size and `max_content` bytes.

        The last piece is followed by the check of digest, size and diff id: only an iterator that came to its end was
        right. Raises FormatError and LimitError while iterating. Valid while the image's `find_image` block is open.
        """
        return self.opener(self, max_content)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundImage:
    """An image: layers lowest first; `platform` as its config says it, already checked against the wanted one.

    `identity` is the digest of the OCI manifest where the archive has one (`manifest_digest`), else of the config.
    `warnings` name the neighbours that could not be read.
    """

    reference: Reference
    identity: Digest
    manifest_digest: Digest | None
    config_digest: Digest
    platform: Platform
    layers: tuple[OpenableLayer, ...]
    archive: Path
    warnings: tuple[str, ...] = ()
