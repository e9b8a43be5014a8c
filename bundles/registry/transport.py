"""The HTTP door: one request, one answer, over kept connections. urllib3 does the wire; what may be sent where is here.

At most `CONNECTIONS` to one host at a time: a thread that wants one more waits for it. Bodies are never decompressed
(digests are of what lies in the registry) and never read further than the caller's bound.
"""

import contextlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions

from bundles.errors import FormatError, LimitError, SealiftError
from bundles.registry import url as urls
from bundles.registry.proxies import proxy_for
from bundles.registry.tls import tls_broken, tls_context
from bundles.registry.wire import Body, Broken, HostTls, Wire

CONNECTIONS: Final = 16  # to one host; layers, which fill a line, use half of them
FIRST: Final = 8  # before the host has answered
CHUNK: Final = 1 << 18  # bytes
_REDIRECTS: Final = 5
_MOVED: Final = (301, 302, 303, 307, 308)
_AGENT: Final = "sealift"
_TUNNEL: Final = re.compile(r"Tunnel connection failed: ([0-9]{3})")  # http.client's words


class Answer:
    """An answer whose body is not read yet; to be left by `close`, which keeps the connection when nothing is left.

    `left` is called then, or on `drop`.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        """`url`: where it came from, after redirects."""
        self._response = response
        self.url = url
        self.status = response.status
        self.left: Callable[[], None] = lambda: None

    def header(self, name: str) -> str | None:
        """A header's value."""
        return self._response.headers.get(name)

    def headers(self, name: str) -> list[str]:
        """All values of a header that may be there more than once."""
        return self._response.headers.getlist(name)

    @property
    def length(self) -> int | None:
        """`Content-Length`, None when it is not there or no number."""
        text = self.header("Content-Length") or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives, undecoded; raises Broken where it ends too early."""
        if (self.header("Content-Encoding") or "identity").lower() != "identity":
            raise FormatError("an encoded body, which nobody asked for", where=urls.shown(self.url))
        with broken_wire(connected=True):
            while data := self._response.read1(CHUNK, decode_content=False):
                yield data

    def read(self, limit: int) -> bytes:
        """The whole body; raises LimitError beyond `limit` bytes, as soon as that is known."""
        parts: list[bytes] = []
        size = self.length or 0
        if size <= limit:
            size = 0
            for part in self.chunks():
                parts.append(part)
                if (size := size + len(part)) > limit:
                    break
        if size > limit:
            self.drop()
            raise LimitError("the answer is too large", where=urls.shown(self.url), want=f"<= {limit} bytes")
        return b"".join(parts)

    def close(self) -> None:
        """Gives the connection back when the body was read; a short rest is read, a long one costs the connection."""
        left = self._response.length_remaining
        if left is not None and left <= CHUNK:
            self._response.drain_conn()
        else:
            self._response.close()
        self._response.release_conn()
        self.left()

    def drop(self) -> None:
        """Ends the connection: what is still to come is not wanted."""
        self._response.close()
        self._response.release_conn()
        self.left()


class Transport:
    """Sends requests; for any thread."""

    def __init__(self, wire: Wire) -> None:
        """Nothing is connected yet."""
        self._wire = wire
        self._lock = threading.Lock()
        self._pools: dict[tuple[str | None, HostTls, bool], urllib3.PoolManager] = {}

    def send(self, method: str, url: str, headers: Mapping[str, str], body: Body = None, *, where: object) -> Answer:
        """One request, following redirects of GET and HEAD; `Authorization` goes to the host of `url` alone.

        `body` other than bytes needs a Content-Length in `headers`. Raises Broken; SealiftError for a redirect that
        must not be followed.
        """
        sent = {"User-Agent": _AGENT, "Accept-Encoding": "identity", **headers}
        first = url
        for _ in range(_REDIRECTS + 1):
            answer = self._once(method, url, sent, body)
            location = answer.header("Location")
            if method not in ("GET", "HEAD") or answer.status not in _MOVED or location is None:
                return answer
            answer.close()
            url = urls.follow(url, location, where=where)
            if not urls.same_origin(first, url):
                sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
        raise SealiftError("too many redirects", where=where, got=urls.shown(url), want=f"<= {_REDIRECTS}")

    def close(self) -> None:
        """Ends all idle connections."""
        for pool in self._pools.values():
            pool.clear()

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: Body) -> Answer:
        with broken_wire(connected=False):
            response = self._pool(url).urlopen(
                method, url, body=body, headers=dict(headers), redirect=False, retries=False,
                preload_content=False, decode_content=False,
            )  # fmt: skip
        return Answer(response, url)

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        kind = proxy_for(url, self._wire.env), self._wire.hosts.get(parts.netloc, HostTls()), secure
        with self._lock:
            if kind not in self._pools:
                self._pools[kind] = self._make(*kind)
            return self._pools[kind]

    def _make(self, proxy: str | None, tls: HostTls, secure: bool) -> urllib3.PoolManager:
        timeout = urllib3.Timeout(connect=self._wire.connect, read=self._wire.read)
        # Reading the system's certificates takes longer than many a pull: not for plain http.
        context = tls_context(self._wire.ca_files, tls) if secure or proxy is not None else None
        if not tls.verify:
            urllib3.disable_warnings(exceptions.InsecureRequestWarning)  # who reads the setting says so once
        if proxy is None:
            return urllib3.PoolManager(16, maxsize=CONNECTIONS, block=True, timeout=timeout, ssl_context=context)
        try:
            parsed = urllib3.util.parse_url(proxy)
        except exceptions.LocationParseError:  # whose words repeat it
            raise SealiftError("a proxy that is no URL", got=urls.shown(proxy), want="http://HOST:PORT") from None
        if parsed.scheme not in ("http", "https"):
            raise SealiftError("a proxy of an unknown kind", got=urls.shown(proxy), want="http://HOST:PORT")
        headers = urllib3.make_headers(proxy_basic_auth=parsed.auth) if parsed.auth else None
        return urllib3.ProxyManager(
            parsed._replace(auth=None).url, 16, headers=None, proxy_headers=headers, maxsize=CONNECTIONS, block=True,
            timeout=timeout, ssl_context=context,
        )  # fmt: skip


@contextlib.contextmanager
def broken_wire(*, connected: bool) -> Iterator[None]:
    """Turns what urllib3 raises into Broken, in words that hold no URL and no header."""
    try:
        yield
    except exceptions.HTTPError as exc:
        raise _broken(exc, connected) from None
    except (ssl.SSLError, OSError) as exc:
        raise Broken(exc.strerror or str(exc), connected=True) from None


def _broken(error: exceptions.HTTPError, connected: bool) -> Broken:
    if isinstance(error, exceptions.ProxyError):
        return _broken_proxy(error, connected)
    inner: BaseException = error
    cause = inner.__cause__ or inner
    if isinstance(inner, exceptions.SSLError):
        return tls_broken(inner, connected=connected)
    kinds: tuple[tuple[type[BaseException], str, bool], ...] = (
        (exceptions.NameResolutionError, "no such host", False),
        (exceptions.NewConnectionError, getattr(cause, "strerror", None) or "no connection", False),
        (exceptions.ConnectTimeoutError, "no connection in time", False),
        (exceptions.ReadTimeoutError, "no answer in time", True),
        (exceptions.IncompleteRead, "the answer was cut", True),
        (exceptions.ProtocolError, "the connection broke", True),
    )
    for kind, reason, answered in kinds:
        if isinstance(inner, kind):
            return Broken(reason, connected=connected or answered)
    return Broken(type(inner).__name__, connected=connected)


def _broken_proxy(error: exceptions.ProxyError, connected: bool) -> Broken:
    """What is wrong is on the way: said so, with the status by which a proxy refuses a tunnel."""
    inner = error.original_error
    if isinstance(inner, exceptions.HTTPError):
        told = _broken(inner, connected)
        return Broken(f"proxy: {told.reason}", connected=told.connected, fatal=told.fatal)
    refused = _TUNNEL.search(str(inner))
    return Broken(f"proxy: it answered {refused[1]}" if refused else "proxy: no connection", connected=connected)
