"""One blob, from the network to where the caller puts it: hashed as it arrives, gone on with where it was cut.

Attacks: a body longer than its descriptor, a body that trickles for ever, a Range answer of another range, other bytes
after a break than before. Each ends in an error, or in the right bytes after all.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from bundles.registry.bandwidth import Bucket
from bundles.registry.place import Endpoint
from bundles.registry.protocol import Write
from bundles.registry.session import Ask, Session
from bundles.registry.transport import Answer
from bundles.registry.wire import Broken, Check

_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_WINDOW: Final = 60.0  # seconds in which at least _LEAST bytes arrive, or the connection counts as broken
_LEAST: Final = 64 << 10
_PER_TRY: Final = 1 << 20  # bytes that each try may be for, beyond the first sixteen


class _Blob:
    """What is known of a blob while it arrives."""

    def __init__(self, digest: Digest, size: int, write: Write) -> None:
        self.digest, self.size, self._write = digest, size, write
        self.hash = hashlib.sha256()
        self.done = 0

    def take(self, data: bytes) -> None:
        self._write(data, self.done)
        self.have(data)

    def have(self, data: bytes) -> None:
        self.hash.update(data)
        self.done += len(data)

    def restart(self) -> None:
        self.hash, self.done = hashlib.sha256(), 0

    @property
    def right(self) -> bool:
        return self.done == self.size and self.hash.hexdigest() == self.digest.hex


class Download:
    """Fetches blobs; for any thread."""

    def __init__(self, session: Session, bucket: Bucket) -> None:
        """`bucket` caps what all threads take together."""
        self._session, self._bucket = session, bucket

    def fetch(
        self, endpoint: Endpoint, digest: Digest, size: int, write: Write, check: Check, prefix: Iterable[bytes] = ()
    ) -> None:
        """See protocol.Registry.fetch; from one endpoint."""
        blob = _Blob(digest, size, write)
        for data in prefix:
            blob.have(data)
        if 0 < blob.done <= size:
            self._rest(endpoint, blob, check)
            if blob.right:
                return
        blob.restart()  # there was no prefix, or it was of something else
        self._rest(endpoint, blob, check)
        if not blob.right:
            where = f"{endpoint}: {digest}"
            raise FormatError("wrong bytes from the registry", where=where, got=f"sha256:{blob.hash.hexdigest()}")

    def _rest(self, endpoint: Endpoint, blob: _Blob, check: Check) -> None:
        """All that is missing, in as many answers as it takes."""
        url, where = endpoint.url(f"blobs/{blob.digest}"), f"{endpoint}: {blob.digest}"
        patience = self._session.patience(url, where, check)
        tries = 16 + blob.size // _PER_TRY
        while blob.done < blob.size:
            before, tries = blob.done, tries - 1
            if tries < 0:
                raise SealiftError("the registry cuts its answers again and again", where=where)
            headers = {"Range": f"bytes={blob.done}-"} if blob.done else {}
            ask = Ask(method="GET", url=url, where=where, ok=(200, 206), headers=headers)
            answer = self._session.request(endpoint, ask, check, patience)
            try:
                self._take(answer, blob, where, check)
            except Broken as exc:
                answer.drop()
                if blob.done > before:
                    patience.progress()
                patience.wait(exc.reason)
            except BaseException:
                answer.drop()
                raise
            else:
                answer.close()

    def _take(self, answer: Answer, blob: _Blob, where: str, check: Check) -> None:
        """One answer's bytes; raises Broken where they end too early."""
        skip = _skip(answer, blob, where)
        timing = self._session.timing
        window, since = timing.monotonic(), 0
        for data in answer.chunks():
            check()
            if skip:  # the registry knows no ranges: what we have goes by once more
                data, skip = data[skip:], max(0, skip - len(data))
            if len(data) > blob.size - blob.done:
                raise FormatError("more bytes than the blob has", where=where, want=f"{blob.size} bytes")
            blob.take(data)
            if wait := self._bucket.take(len(data)):
                timing.pause(wait, check)
            since += len(data)
            if (now := timing.monotonic()) - window > _WINDOW:
                if since < _LEAST:
                    raise Broken("the answer trickles", connected=True)
                window, since = now, 0
            if blob.done == blob.size and answer.length is not None:
                return
        if blob.done < blob.size:
            raise Broken("the answer was cut", connected=True)


def _skip(answer: Answer, blob: _Blob, where: str) -> int:
    """Bytes of the answer that we have already; raises FormatError when it is of another size or range."""
    if answer.status == 200:
        if answer.length is not None and answer.length != blob.size:
            raise FormatError("a blob of another size", where=where, got=answer.length, want=f"{blob.size} bytes")
        return blob.done
    told = answer.header("Content-Range") or ""
    found = _RANGE.fullmatch(told)
    if (
        not found
        or (int(found[1]), int(found[2])) != (blob.done, blob.size - 1)
        or found[3] not in ("*", str(blob.size))
    ):
        want = f"bytes {blob.done}-{blob.size - 1}/{blob.size}"
        raise FormatError("another range than was asked for", where=where, got=ascii(told[:80]), want=want)
    return 0
