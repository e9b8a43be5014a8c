"""A web server on loopback with files in memory, that does what it is told: cuts, lies, stalls, sends elsewhere."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Got:
    """A request; header names in lower case."""

    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Wrong:
    """What to do in place of the right thing."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None  # bytes of the right body after which the connection ends
    endless: bool = False
    whole: bool = False  # Range is not understood


@dataclass
class FileServer:
    """`files` by path; `wrong` is asked for each request with its number, from 1 on."""

    files: dict[str, bytes] = field(default_factory=dict)
    wrong: Callable[[Got, int], Wrong | None] = lambda got, number: None
    seen: list[Got] = field(default_factory=list)
    host: str = ""
    etags: bool = True
    scheme: str = "http"

    def url(self, path: str) -> str:
        return f"{self.scheme}://{self.host}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: FileServer

    def do_GET(self) -> None:
        mine = self.files
        got = Got(self.path, {name.lower(): value for name, value in self.headers.items()})
        mine.seen.append(got)
        wrong = mine.wrong(got, len(mine.seen))
        body = mine.files.get(self.path.partition("?")[0])
        if wrong is not None and wrong.endless:
            self._endless()
        elif wrong is not None and wrong.status:
            self._send(wrong.status, dict(wrong.headers), wrong.body)
        elif body is None:
            self._send(404, {}, b"")
        else:
            self._file(got, body, wrong or Wrong())

    def _file(self, got: Got, body: bytes, wrong: Wrong) -> None:
        tag = f'"{hash(body) & 0xFFFFFFFF:x}"'
        headers = {"ETag": tag} if self.files.etags else {}
        start = 0
        wanted = got.headers.get("range", "")
        if wanted and not wrong.whole and got.headers.get("if-range", tag) == tag:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self._send(206 if "Content-Range" in headers else 200, {**headers, **wrong.headers}, body[start:], wrong.cut)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(1 << 20))

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def file_server(files: Mapping[str, bytes] | None = None, tls: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """Serves until the block ends; with `tls` over TLS."""
    made = FileServer(files=dict(files or {}))
    handler = type("Handler", (_Handler,), {"files": made})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls is not None:
        made.scheme = "https"
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
