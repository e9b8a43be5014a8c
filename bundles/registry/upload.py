"""One blob, to a registry (distribution-spec, "Pushing blobs"): only if it is missing, mounted where that is possible.

Small blobs go in one PUT. Large ones go in pieces, so that a cut costs a piece: the registry is asked how far it got.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.registry import url as urls
from bundles.registry.bandwidth import Bucket
from bundles.registry.place import Endpoint, Repository
from bundles.registry.protocol import Read
from bundles.registry.session import Ask, Session
from bundles.registry.tokens import PUSH
from bundles.registry.transport import Answer
from bundles.registry.wire import Check

PIECE: Final = 64 << 20  # bytes of one PATCH
_STARTS: Final = 4  # uploads begun for one blob
_DONE: Final = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_OCTETS: Final = {"Content-Type": "application/octet-stream"}


class _Lost(Exception):
    """The registry has forgotten this upload: begin another."""


class Upload:
    """Puts blobs; for any thread."""

    def __init__(self, session: Session, bucket: Bucket, piece: int = PIECE) -> None:
        """`bucket` caps what all threads send together; `piece` in bytes."""
        self._session, self._bucket, self._piece = session, bucket, piece

    def has(self, endpoint: Endpoint, digest: Digest, check: Check) -> bool:
        """Whether the repository has the blob."""
        url = endpoint.url(f"blobs/{digest}")
        ask = Ask(method="HEAD", url=url, where=f"{endpoint}: {digest}", ok=(200, 404), actions=PUSH)
        answer = self._session.request(endpoint, ask, check)
        answer.close()
        return answer.status == 200

    def push(
        self, endpoint: Endpoint, digest: Digest, size: int, read: Read, check: Check, mount_from: Repository | None
    ) -> bool:
        """See protocol.Registry.push_blob."""
        if mount_from is None and self.has(endpoint, digest, check):
            return False
        where = f"{endpoint}: {digest}"
        for _ in range(_STARTS):
            place = self._begin(endpoint, digest, where, check, mount_from)
            if place is None:
                return False
            if mount_from is not None and self.has(endpoint, digest, check):
                return False  # it mounts nothing, and has it; the upload that it began instead ends by itself
            try:
                if size > self._piece:
                    place = self._pieces(endpoint, place, size, read, where, check)
                    self._finish(endpoint, place, digest, 0, None, where, check)
                else:
                    self._finish(endpoint, place, digest, size, read, where, check)
            except _Lost:
                mount_from = None
                continue
            return True
        raise SealiftError("the registry loses uploads again and again", where=where)

    def _begin(
        self, endpoint: Endpoint, digest: Digest, where: str, check: Check, mount_from: Repository | None
    ) -> str | None:
        """Begins an upload, or mounts the blob; returns where to put it, None when it is there now."""
        url = endpoint.url("blobs/uploads/")
        scopes: tuple[str, ...] = ()
        if mount_from is not None:
            url += f"?mount={digest}&from={quote(mount_from.path, safe='/')}"
            scopes = (f"repository:{mount_from.path}:pull",)
        ask = Ask(
            method="POST", url=url, where=where, ok=(201, 202), actions=PUSH, scopes=scopes,
            headers={"Content-Length": "0"},
        )  # fmt: skip
        answer = self._session.request(endpoint, ask, check)
        answer.close()
        return None if answer.status == 201 and mount_from is not None else _location(answer, url, where)

    def _finish(
        self, endpoint: Endpoint, place: str, digest: Digest, size: int, read: Read | None, where: str, check: Check
    ) -> None:
        """The closing PUT, with all of the blob or none of it."""
        body = self._body(read, 0, size, check) if read is not None else None
        ask = Ask(
            method="PUT", url=urls.with_query(place, "digest", quote(str(digest))), where=where, ok=(201, 204, 404),
            actions=PUSH, headers={**_OCTETS, "Content-Length": str(size)}, body=body,
        )  # fmt: skip
        answer = self._session.request(endpoint, ask, check)
        answer.close()
        if answer.status == 404:
            raise _Lost
        told = answer.header("Docker-Content-Digest")
        if told is not None and told != str(digest):
            raise FormatError(
                "the registry took it for something else", where=where, got=ascii(told[:100]), want=digest
            )

    def _pieces(self, endpoint: Endpoint, place: str, size: int, read: Read, where: str, check: Check) -> str:
        """Sends all in PATCHes; returns where the closing PUT goes."""
        done = 0
        patience = self._session.patience(place, where, check)
        while done < size:
            end = min(size, done + self._piece)
            ask = Ask(
                method="PATCH", url=place, where=where, ok=(202, 204, 404, 416), actions=PUSH,
                headers={**_OCTETS, "Content-Length": str(end - done), "Content-Range": f"{done}-{end - 1}"},
                body=self._body(read, done, end, check),
            )  # fmt: skip
            once = self._session.patience(place, where, check, tries=1)  # again would be at the wrong offset
            try:
                answer: Answer | None = self._session.request(endpoint, ask, check, once)
            except SealiftError:
                answer = None
            if answer is not None:
                answer.close()
                if answer.status == 404:
                    raise _Lost
            if answer is not None and answer.status in (202, 204):
                place, reached = _location(answer, place, where), _reached(answer)
            else:
                patience.wait("the upload broke")
                place, reached = self._ask_how_far(endpoint, place, where, check)
            if reached is None or not done <= reached <= end:
                raise _Lost
            if reached > done:
                patience.progress()
            elif answer is not None and answer.status in (202, 204):
                patience.wait("the registry takes the upload and keeps nothing of it")
            done = reached
        return place

    def _ask_how_far(self, endpoint: Endpoint, place: str, where: str, check: Check) -> tuple[str, int | None]:
        ask = Ask(method="GET", url=place, where=where, ok=(204, 202), actions=PUSH)
        try:
            answer = self._session.request(endpoint, ask, check)
        except MissingError:
            raise _Lost from None
        answer.close()
        return _location(answer, place, where), _reached(answer)

    def _body(self, read: Read, start: int, end: int, check: Check) -> Callable[[], Iterator[bytes]]:
        """Bytes `start` to `end` of the blob, made anew for each try, at the pace that is allowed."""

        def body() -> Iterator[bytes]:
            left = end - start
            for data in read(start):
                check()
                part = data[:left]
                self._session.timing.pause(self._bucket.take(len(part)), check)
                yield part
                left -= len(part)
                if not left:
                    return

        return body


def _location(answer: Answer, url: str, where: str) -> str:
    """Where the upload goes on; another host gets no credentials (see Session.request)."""
    location = answer.header("Location")
    if location is None:
        raise FormatError("the registry does not say where to put it", where=where)
    return urls.follow(url, location, where=where)


def _reached(answer: Answer) -> int | None:
    """Bytes that the registry has of the upload, by its `Range: 0-N`; None when it does not say.

    `0-0` is one byte or none, depending on who says it: none, and the byte is sent again.
    """
    found = _DONE.fullmatch((answer.header("Range") or "").strip())
    if found is None:
        return None
    return int(found[1]) + 1 if int(found[1]) else 0
