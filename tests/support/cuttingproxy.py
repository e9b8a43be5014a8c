"""A way to a registry on which every so manieth body is cut in its middle."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.quiethttp import QuietHandler, serving

_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass
class Cutting:
    """`host` is HOST:PORT of the way; `every` body of that number is cut; `cuts` and `requests` count."""

    upstream: str
    every: int
    host: str = ""
    cuts: int = 0
    bodies: int = 0
    sent: int = 0  # bytes of bodies that passed
    methods: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(QuietHandler):
    way: Cutting

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = http.client.HTTPConnection(self.way.upstream)
        try:
            # The Host stays ours: what the registry tells to go to leads here again.
            upstream.request(self.command, self.path, body or None, dict(self.headers.items()))
            answer = upstream.getresponse()
            self._answer(answer)
        finally:
            upstream.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _pass

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.end_headers()
        left = answer.length or 0
        with self.way.lock:
            self.way.methods.append(self.command)
            cut = False
            if self.command == "GET" and left:
                self.way.bodies += 1
                cut = self.way.bodies % self.way.every == 0
                self.way.cuts += cut
        left = left // 2 if cut else left
        while left and (data := answer.read(min(left, 1 << 18))):
            self.wfile.write(data)
            self.way.sent += len(data)
            left -= len(data)
        self.close_connection = self.close_connection or cut


@contextlib.contextmanager
def cutting_proxy(upstream: str, every: int) -> Iterator[Cutting]:
    """Runs one in front of HOST:PORT."""
    way = Cutting(upstream, every)
    with serving(_Handler, way=way) as way.host:
        yield way
