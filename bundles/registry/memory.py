"""Small blobs, whole in memory."""

from bundles.digest import Digest
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.registry.session import no_check


def in_memory(registry: Registry, repository: Repository, digest: Digest, size: int) -> bytes:
    """A blob of `size` bytes, which the caller has bounded, checked against its digest."""
    data = bytearray()

    def write(part: bytes, offset: int) -> None:
        data[offset:] = part

    registry.fetch(repository, digest, size, write, no_check)
    return bytes(data)
