"""Files from URLs: one file, gone on with where it was cut, never more bytes than it may have.

Attacks: a body longer than said or without end, one that trickles for ever, another range than was asked for, another
file after a break than before, a redirect to plain http. Each ends in an error, or in the right bytes after all.
"""

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from builder.process import Cancel
from builder.reach import Reach
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError, SealiftError
from bundles.files import os_errors
from bundles.registry import retry
from bundles.registry import url as urls
from bundles.registry.bandwidth import Bucket
from bundles.registry.timing import Timing, real_timing
from bundles.registry.transport import Answer, Transport
from bundles.registry.wire import Broken, Wire

MAX_FILE: Final = 8 << 30  # bytes of a file whose size nobody said yet
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_WINDOW: Final = 60.0  # seconds in which at least _LEAST bytes arrive, or the connection counts as broken
_LEAST: Final = 64 << 10
_PER_TRY: Final = 1 << 20  # bytes that each try may be for, beyond the first sixteen
_CHUNK: Final = 1 << 20


class Arriving:
    """A file while it arrives: `done` bytes of it are in `file`, and in `hash`. `size` is None where nobody said it."""

    def __init__(self, file: BinaryIO, size: int | None, limit: int = MAX_FILE) -> None:
        """Goes on behind what the open file (r+b) holds already."""
        self.file, self.size, self.limit = file, size, limit
        self.hash, self.done = hashlib.sha256(), 0
        self.validator = ""
        while data := file.read(_CHUNK):
            self._have(data)

    @property
    def digest(self) -> Digest:
        """Of all that is there."""
        return Digest(self.hash.hexdigest())

    def take(self, data: bytes, where: object) -> None:
        """The next bytes; raises LimitError, FormatError."""
        if self.size is not None and self.done + len(data) > self.size:
            raise FormatError("more bytes than were locked", where=where, want=f"{self.size} bytes")
        if self.done + len(data) > self.limit:
            raise LimitError("the file is too large", where=where, want=f"<= {self.limit} bytes")
        self.file.write(data)
        self._have(data)

    def restart(self) -> None:
        """Forgets all."""
        self.file.seek(0)
        self.file.truncate()
        self.hash, self.done = hashlib.sha256(), 0

    def _have(self, data: bytes) -> None:
        self.hash.update(data)
        self.done += len(data)


class UrlClient:
    """Fetches files; for any thread. Sends no credentials anywhere."""

    def __init__(self, wire: Wire, timing: Timing, cancel: Cancel, bucket: Bucket | None = None) -> None:
        """Nothing is asked yet. `bucket` caps the bytes a second, None: nothing does."""
        self._transport, self._timing, self._cancel = Transport(wire), timing, cancel
        self._bucket = bucket or Bucket(0, timing.monotonic)

    def fetch(self, url: str, file: BinaryIO, size: int | None = None, limit: int = MAX_FILE) -> tuple[Digest, int]:
        """The file at `url` -> digest and bytes of what is now in `file`, which may hold the first part of it already.

        `size` in bytes, where it is known. Raises MissingError for 404 and 410, SealiftError for what else the server
        says or when it cannot be reached, LimitError, FormatError; Cancelled.
        """
        where = urls.shown(url)
        with os_errors(where):
            got = Arriving(file, size, limit)
            if size is not None and got.done > size:
                got.restart()
            if size is None or got.done < size:
                self._all(url, got, where)
        return got.digest, got.done

    def small(self, url: str, limit: int) -> bytes:
        """A small file; errors as `fetch`."""
        buffer = io.BytesIO()
        self.fetch(url, buffer, limit=limit)
        return buffer.getvalue()

    def _all(self, url: str, got: Arriving, where: str) -> None:
        failures, tries = 0, 16 + (got.size or 0) // _PER_TRY
        while True:
            before, tries = got.done, tries - 1
            self._cancel.check()
            try:
                reason, advice = self._once(url, got, where)
                if not reason:
                    return
            except Broken as exc:
                if exc.fatal or (not exc.connected and failures):
                    raise SealiftError(exc.reason, where=where) from None
                reason, advice = exc.reason, None
            failures = 1 if got.done > before else failures + 1
            if failures >= retry.TRIES or tries < 0:
                raise SealiftError(f"{reason}, again and again", where=where)
            if advice is not None and advice > retry.PATIENCE:
                raise SealiftError(f"{reason}, and asks to wait {advice:.0f} s", where=where)
            self._timing.pause(max(retry.backoff(failures, self._timing.jitter()), advice or 0.0), self._cancel.check)

    def _once(self, url: str, got: Arriving, where: str) -> tuple[str, float | None]:
        """One request: ("", None) when all is there, else why not, and the seconds the server asks to wait."""
        headers = {}
        if got.done and (got.validator or got.size is not None):
            headers = {"Range": f"bytes={got.done}-"} | ({"If-Range": got.validator} if got.validator else {})
        answer = self._transport.send("GET", url, headers, where=where)
        try:
            if answer.status in retry.RETRIED:
                wait = retry.retry_after(answer.header("Retry-After"), self._timing.wall())
                return f"the server answered {answer.status}", wait
            if answer.status == 416 and got.done:
                got.restart()  # what we have is longer than the file is now
                return "the file became shorter", None
            _refuse(answer, where)
            _place(answer, got, where)
            self._body(answer, got, where)
        except BaseException:
            answer.drop()
            raise
        answer.close()
        return "", None

    def _body(self, answer: Answer, got: Arriving, where: str) -> None:
        want = None if answer.length is None else got.done + answer.length
        window, since = self._timing.monotonic(), 0
        for data in answer.chunks():
            self._cancel.check()
            got.take(data, where)
            self._timing.pause(self._bucket.take(len(data)), self._cancel.check)
            since += len(data)
            if (now := self._timing.monotonic()) - window > _WINDOW:
                if since < _LEAST:
                    raise Broken("the answer trickles", connected=True)
                window, since = now, 0
        if (want is not None and got.done < want) or (got.size is not None and want is None and got.done < got.size):
            raise Broken("the answer was cut", connected=True)


def _refuse(answer: Answer, where: str) -> None:
    if answer.status in (404, 410):
        raise MissingError("nothing there", where=where, got=answer.status)
    if answer.status in (401, 403, 407):
        hint = "Sealift sends no credentials to URLs: put the file where none are wanted, or beside the recipe"
        raise SealiftError("the server refuses access", where=where, got=answer.status, hint=hint)
    if answer.status not in (200, 206):
        raise SealiftError(f"the server answered {answer.status}", where=where)


def _place(answer: Answer, got: Arriving, where: str) -> None:
    """Where in the file this answer goes; another size than is known is told before a byte is read."""
    if answer.status == 200:
        got.restart()
        total = answer.length
        # Only a strong validator says that two halves are of one file (RFC 9110 8.8.1, 13.1.5).
        tag = answer.header("ETag") or ""
        got.validator = tag if tag.startswith('"') and len(tag) < 200 and tag.isascii() else ""
    else:
        found = _RANGE.fullmatch(answer.header("Content-Range") or "")
        if not found or int(found[1]) != got.done:
            got_words = ascii((answer.header("Content-Range") or "")[:80])
            raise FormatError("another range than was asked for", where=where, got=got_words, want=f"from {got.done}")
        total = int(found[3]) if found[3] != "*" else None
    if total is not None and got.size is not None and total != got.size:
        hint = "what lies there is not what was locked: find out why before you trust it"
        raise FormatError("a file of another size", where=where, got=total, want=f"{got.size} bytes", hint=hint)
    if total is not None and total > got.limit:
        raise LimitError("the file is too large", where=where, got=f"{total} bytes", want=f"<= {got.limit} bytes")


def url_client(reach: Reach, env: Mapping[str, str], cancel: Cancel) -> UrlClient:
    """The client as a command's options and the environment say it: CAs (`--ca`, SSL_CERT_FILE), proxies, the cap."""
    file = env.get("SSL_CERT_FILE", "")
    wire = Wire(env=env, ca_files=(*([Path(file)] if file else []), *reach.ca))
    return UrlClient(wire, real_timing(), cancel, reach.bucket)
