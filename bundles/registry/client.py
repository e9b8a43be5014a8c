"""The registry client: protocol.Registry over HTTP, by way of mirrors where there are some."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from bundles import oci
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError, SealiftError
from bundles.registry import documents, tags
from bundles.registry import url as urls
from bundles.registry.bandwidth import Bucket
from bundles.registry.documents import Document, RemoteDescriptor
from bundles.registry.download import Download
from bundles.registry.mirrors import Ways
from bundles.registry.place import Endpoint, Repository
from bundles.registry.protocol import Read, Write
from bundles.registry.session import Ask, Session
from bundles.registry.timing import Timing
from bundles.registry.tokens import PUSH, Keys, Tokens
from bundles.registry.transport import Transport
from bundles.registry.upload import PIECE, Upload
from bundles.registry.wire import Broken, Check, Wire

T = TypeVar("T")
MAX_REFERRERS: Final = 1024
_MAX_PAGES: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How registries are reached: ways to them, the wire, the user's credentials.

    `bucket` bounds the bytes a second, for all who share it; without one there is no bound.
    """

    ways: Ways = field(default_factory=Ways)
    wire: Wire = field(default_factory=Wire)
    keys: Keys = field(default=lambda _: None)
    piece: int = PIECE
    bucket: Bucket | None = None


class HttpRegistry:
    """All registries; for any thread. `close` it. `session`: for requests that protocol.Registry has no word for."""

    def __init__(self, settings: Settings, timing: Timing) -> None:
        """Nothing is asked yet."""
        self._ways = settings.ways
        self._transport = Transport(settings.wire)
        self.session = Session(self._transport, Tokens(self._transport, settings.keys, timing), timing)
        bucket = settings.bucket or Bucket(0, timing.monotonic)
        self._download = Download(self.session, bucket)
        self._upload = Upload(self.session, bucket, settings.piece)

    def close(self) -> None:
        """Ends idle connections."""
        self._transport.close()

    def manifest(self, repository: Repository, reference: str, check: Check) -> Document:
        """See protocol.Registry."""
        return self._any(repository, lambda endpoint: self._manifest(endpoint, reference, check))

    def has_manifest(self, repository: Repository, reference: str, check: Check) -> Digest | None:
        """See protocol.Registry. Asks the registry itself, not its mirrors."""
        endpoint = self._ways.to_push(repository)
        where = f"{endpoint}: {reference}"
        ask = Ask(
            method="HEAD", url=endpoint.url(f"manifests/{reference}"), where=where, ok=(200, 404), actions=PUSH,
            headers={"Accept": documents.ACCEPT},
        )  # fmt: skip
        answer = self.session.request(endpoint, ask, check)
        answer.close()
        if answer.status == 404:
            return None
        told = answer.header("Docker-Content-Digest")
        return Digest.parse(told) if told else self._manifest(endpoint, reference, check).digest

    def push_manifest(self, repository: Repository, reference: str, document: Document, check: Check) -> bool:
        """See protocol.Registry."""
        endpoint = self._ways.to_push(repository)
        where = f"{endpoint}: {reference}"
        ask = Ask(
            method="PUT", url=endpoint.url(f"manifests/{reference}"), where=where, ok=(200, 201, 202), actions=PUSH,
            headers={"Content-Type": document.media_type}, body=lambda: document.data,
        )  # fmt: skip
        answer = self.session.request(endpoint, ask, check)
        answer.close()
        told = answer.header("Docker-Content-Digest")
        if told is not None and told != str(document.digest):
            raise FormatError(
                "the registry changed a manifest", where=where, got=ascii(told[:100]), want=document.digest
            )
        return answer.header("OCI-Subject") is not None

    def referrers(self, repository: Repository, digest: Digest, check: Check) -> list[RemoteDescriptor]:
        """See protocol.Registry."""
        return self._any(repository, lambda endpoint: self._referrers(endpoint, digest, check))

    def tags(self, repository: Repository, check: Check) -> list[str]:
        """See protocol.Registry."""
        return self._any(repository, lambda endpoint: self._tags(endpoint, check))

    def fetch(
        self, repository: Repository, digest: Digest, size: int, write: Write, check: Check,
        prefix: Iterable[bytes] = (),
    ) -> None:  # fmt: skip
        """See protocol.Registry."""
        left = [prefix]  # for the first endpoint: another one starts anew

        def one(endpoint: Endpoint) -> None:
            self._download.fetch(endpoint, digest, size, write, check, left.pop() if left else ())

        self._any(repository, one)

    def has_blob(self, repository: Repository, digest: Digest, check: Check) -> bool:
        """See protocol.Registry."""
        return self._upload.has(self._ways.to_push(repository), digest, check)

    def push_blob(
        self, repository: Repository, digest: Digest, size: int, read: Read, check: Check,
        mount_from: Repository | None = None,
    ) -> bool:  # fmt: skip
        """See protocol.Registry."""
        if mount_from is not None and (mount_from.host != repository.host or mount_from == repository):
            mount_from = None
        return self._upload.push(self._ways.to_push(repository), digest, size, read, check, mount_from)

    def _any(self, repository: Repository, work: Callable[[Endpoint], T]) -> T:
        """The first endpoint's answer that is one; else the last error, which says what the others said."""
        *mirrors, last = self._ways.to_pull(repository)
        told: list[str] = []
        for mirror in mirrors:
            try:
                return work(mirror)
            except SealiftError as exc:
                told.append(f"{mirror}: {exc.message}")
        try:
            return work(last)
        except SealiftError as exc:
            if told:
                exc.hint = f"asked before: {'; '.join(told)}" + (f"\n  {exc.hint}" if exc.hint else "")
            raise

    def _manifest(self, endpoint: Endpoint, reference: str, check: Check) -> Document:
        where = f"{endpoint}: {reference}"
        url = endpoint.url(f"manifests/{reference}")
        ask = Ask(method="GET", url=url, where=where, headers={"Accept": documents.ACCEPT})
        data, content_type, told = self._whole(endpoint, ask, documents.MAX_MANIFEST, check)
        found = Digest.of(data)
        wanted = reference if reference.startswith("sha256:") else told
        if wanted is not None and wanted != str(found):
            raise FormatError("wrong bytes from the registry", where=where, got=found, want=ascii(wanted[:100]))
        return documents.read_document(data, content_type, where=where)

    def _whole(self, endpoint: Endpoint, ask: Ask, limit: int, check: Check) -> tuple[bytes, str | None, str | None]:
        """A small answer, asked for again when it is cut: bytes, Content-Type, Docker-Content-Digest."""
        patience = self.session.patience(ask.url, ask.where, check)
        while True:
            answer = self.session.request(endpoint, ask, check, patience)
            try:
                data = answer.read(limit)
                return data, answer.header("Content-Type"), answer.header("Docker-Content-Digest")
            except Broken as exc:
                answer.drop()
                patience.wait(exc.reason)
            finally:
                answer.close()

    def _tags(self, endpoint: Endpoint, check: Check) -> list[str]:
        listing = tags.Listing(endpoint)
        while listing.url is not None:
            ask = Ask(method="GET", url=listing.url, where=listing.where, headers={"Accept": "application/json"})
            answer = self.session.request(endpoint, ask, check)
            try:
                listing.take(answer.read(tags.MAX_ANSWER), answer.header("Link"))
            finally:
                answer.close()
        return listing.tags

    def _referrers(self, endpoint: Endpoint, digest: Digest, check: Check) -> list[RemoteDescriptor]:
        found: list[RemoteDescriptor] = []
        url: str | None = endpoint.url(f"referrers/{digest}")
        where = f"{endpoint}: referrers of {digest}"
        for _ in range(_MAX_PAGES):
            assert url is not None
            ask = Ask(method="GET", url=url, where=where, ok=(200, 400, 404, 405), headers={"Accept": documents.ACCEPT})
            answer = self.session.request(endpoint, ask, check)
            kind = (answer.header("Content-Type") or "").partition(";")[0].strip().lower()
            link = answer.header("Link")
            if answer.status != 200 or kind not in oci.INDEXES:
                answer.close()
                return self._tagged_referrers(endpoint, digest, check)
            try:
                data = answer.read(documents.MAX_MANIFEST)
            finally:
                answer.close()
            found += documents.read_index(documents.read_document(data, kind, where=where), where=where).manifests
            if len(found) > MAX_REFERRERS:
                raise LimitError("too many referrers", where=where, want=f"<= {MAX_REFERRERS}")
            url = urls.next_page(url, link, where=where)
            if url is None or not urls.same_origin(url, endpoint.origin):
                return found
        raise LimitError("too many pages of referrers", where=where, want=f"<= {_MAX_PAGES}")

    def _tagged_referrers(self, endpoint: Endpoint, digest: Digest, check: Check) -> list[RemoteDescriptor]:
        """The index under the tag that stands in for the API (distribution-spec, "Referrers Tag Schema")."""
        from bundles.signing.images import referrers_tag  # with all of cryptography, which few pulls need

        tag = referrers_tag(digest)
        try:
            document = self._manifest(endpoint, tag, check)
        except MissingError:
            return []
        found = documents.read_index(document, where=f"{endpoint}: {tag}").manifests
        if len(found) > MAX_REFERRERS:
            raise LimitError("too many referrers", where=f"{endpoint}: {tag}", want=f"<= {MAX_REFERRERS}")
        return found
