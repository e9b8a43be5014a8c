"""What push and pull need of a registry, whoever speaks to it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from bundles.digest import Digest
from bundles.registry.documents import Document, RemoteDescriptor
from bundles.registry.place import Repository
from bundles.registry.wire import Check

Write = Callable[[bytes, int], None]
"""Puts bytes at an offset of the blob; bytes may be written twice, the last count."""

Read = Callable[[int], Iterable[bytes]]
"""A blob's bytes from an offset on."""


class Registry(Protocol):
    """Whatever returns has been checked against its digest; nothing unchecked is ever called right."""

    def manifest(self, repository: Repository, reference: str, check: Check) -> Document:
        """A manifest or index by tag or digest; MissingError for none."""

    def has_manifest(self, repository: Repository, reference: str, check: Check) -> Digest | None:
        """The digest that a tag or digest stands for; None for nothing."""

    def push_manifest(self, repository: Repository, reference: str, document: Document, check: Check) -> bool:
        """Puts it under a tag or its digest; whether the registry lists its `subject`'s referrers itself."""

    def referrers(self, repository: Repository, digest: Digest, check: Check) -> list[RemoteDescriptor]:
        """What refers to a manifest, by the API or the tag that stands in for it."""

    def tags(self, repository: Repository, check: Check) -> list[str]:
        """All tags of a repository, in the registry's order; MissingError where there is no such repository."""

    def fetch(
        self, repository: Repository, digest: Digest, size: int, write: Write, check: Check,
        prefix: Iterable[bytes] = (),
    ) -> None:  # fmt: skip
        """A blob of `size` bytes, written as it arrives; `prefix`: the first bytes, where they were fetched before.

        Returns once all of it is there and has this digest. What was written before an error is not to be used.
        """

    def has_blob(self, repository: Repository, digest: Digest, check: Check) -> bool:
        """Whether it is there."""

    def push_blob(
        self, repository: Repository, digest: Digest, size: int, read: Read, check: Check,
        mount_from: Repository | None = None,
    ) -> bool:  # fmt: skip
        """Puts a blob there unless it is; whether bytes had to be sent."""


def once(data: bytes) -> Read:
    """Bytes in memory as a source."""

    def read(offset: int) -> Iterator[bytes]:
        yield data[offset:]

    return read
