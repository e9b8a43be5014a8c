"""Fetching from a server's read-only registry: bounded, in pieces, from anywhere in a file. Blocking."""

import contextlib
import http.client
import ssl
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError, TrustError
from runtime.daemon.api import Identity, tls_context
from runtime.joining.supervisor import NotYetError
from runtime.supervisor.catalogue import ADMITTED_TAG, REPOSITORY
from runtime.supervisor.token import JoinToken

_PIECE: Final = 1 << 18  # bytes
_SILENCE: Final = 30.0  # seconds without a byte
_WINDOW: Final = 60.0  # seconds in which at least this many bytes have to come
_LEAST: Final = 256 << 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """The registry of the server at `url` (https://HOST:PORT), trusted by the file `authority`.

    `clock` gives seconds that never go back.
    """

    url: str
    authority: Path
    token: JoinToken = field(repr=False)
    clock: Callable[[], float]

    def manifest(self, most: int) -> bytes:
        """The manifest of the bundle that the server runs from, at most `most` bytes.

        Raises NotYetError for a server that cannot answer now or has no bundle, TrustError for a refused token.
        """
        with self._asked(f"manifests/{ADMITTED_TAG}", {}) as response:
            data = response.read(most + 1)
        if len(data) > most:
            raise FormatError("a manifest that does not end", where=self.url, want=f"<= {most} bytes")
        return data

    def pieces(self, digest: Digest, size: int, start: int) -> Iterator[bytes]:
        """The bytes of a file of `size` bytes from `start` on; never more than there have to be.

        Raises NotYetError when the connection ends early or is too slow: what came so far is good. FormatError when
        the server says another size.
        """
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._asked(f"blobs/{digest}", headers) as response:
            self._check_size(response, digest, size, start)
            left, began, came = size - start, self.clock(), 0
            while left:
                piece = response.read1(min(_PIECE, left))
                if not piece:
                    raise NotYetError("the connection ended early", where=self.url, got=f"{left} bytes are missing")
                left -= len(piece)
                came += len(piece)
                yield piece
                if self.clock() - began > _WINDOW:
                    if came < _LEAST and left:
                        raise NotYetError("the server is too slow", where=self.url, got=f"{came} bytes in a minute")
                    began, came = self.clock(), 0

    def _check_size(self, response: http.client.HTTPResponse, digest: Digest, size: int, start: int) -> None:
        if start and response.status != HTTPStatus.PARTIAL_CONTENT:
            raise FormatError("the server does not send parts of files", where=self.url, got=response.status)
        said = response.getheader("Content-Range") if start else response.getheader("Content-Length")
        want = f"bytes {start}-{size - 1}/{size}" if start else str(size)
        if said != want:
            raise FormatError("the server says another size", where=f"{self.url}: {digest}", got=said, want=want)

    @contextlib.contextmanager
    def _asked(self, name: str, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        parts = urllib.parse.urlsplit(self.url)
        sent = {"Authorization": self.token.authorization, **headers}
        context = tls_context(Identity(authority=self.authority))
        link = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=_SILENCE, context=context)
        try:
            link.request("GET", f"/v2/{REPOSITORY}/{name}", headers=sent)
            response = link.getresponse()
            if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                raise _refusal(response.status, self.url)
            yield response
        except ssl.SSLCertVerificationError as exc:
            words = "the server's certificate is not of the cluster's authority, or not valid now"
            raise TrustError(words, where=self.url, got=exc.verify_message) from exc
        except (OSError, http.client.HTTPException) as exc:
            raise NotYetError(f"no answer: {exc or type(exc).__name__}", where=self.url) from exc
        finally:
            link.close()


def _refusal(status: int, url: str) -> SealiftError:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return TrustError("the server refuses the token", where=url, hint="copy server/node-token of a server again")
    if status == HTTPStatus.NOT_FOUND:
        return NotYetError("the server has no such file: it has another bundle now, or none", where=url)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return NotYetError("the server is busy, or not ready yet", where=url)
    return NotYetError("the server did not answer as expected", where=url, got=status)
