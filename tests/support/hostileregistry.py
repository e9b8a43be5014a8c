"""A registry that lies: real TLS, answers as a test writes them, and a list of what was asked."""

import contextlib
import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundles.registry.documents import TITLE
from tests.support.supervisors import Site

Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler, bytes], None]


def plain(handler: Handler, data: bytes) -> None:
    """As an honest server answers."""
    found = handler.headers.get("Range", "")
    start = int(found.removeprefix("bytes=").removesuffix("-")) if found else 0
    handler.send_response(206 if found else 200)
    if found:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    handler.send_header("Content-Length", str(len(data) - start))
    handler.end_headers()
    handler.wfile.write(data[start:])


@dataclass
class Liar:
    """What is on the shelf: `files` of a bundle, and how those are answered that a test cares for, by path."""

    site: Site
    files: dict[str, bytes]
    answers: dict[str, Answer] = field(default_factory=dict)
    layers: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda layers: layers
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    @classmethod
    def of(cls, site: Site, bundle: Path) -> "Liar":
        """Everything of a bundle, to begin with."""
        return cls(site, {str(p.relative_to(bundle)): p.read_bytes() for p in sorted(bundle.rglob("*")) if p.is_file()})

    def manifest(self) -> bytes:
        layers = [
            {
                "mediaType": "application/octet-stream",
                "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
                "size": len(data),
                "annotations": {TITLE: name},
            }
            for name, data in self.files.items()
        ]
        config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + "4" * 64, "size": 2}
        return json.dumps({"schemaVersion": 2, "config": config, "layers": self.layers(layers)}).encode()

    @contextlib.contextmanager
    def listening(self) -> Iterator["Liar"]:
        liar = self

        class One(Handler):
            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    liar.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), One)
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.site.folder / "s.crt", self.site.folder / "s.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, handler: Handler) -> None:
        last = handler.path.rpartition("/")[2]
        if last == "cacerts":
            plain(handler, self.site.authority)
        elif last == "admitted":
            self.answers.get("", plain)(handler, self.manifest())
        else:
            by_digest = {f"sha256:{hashlib.sha256(data).hexdigest()}": name for name, data in self.files.items()}
            name = by_digest.get(last, "")
            self.asked.append((name, handler.headers.get("Range", "")))
            self.answers.get(name, plain)(handler, self.files.get(name, b""))
