"""A few lines of an apiserver on a socket file."""

import json
import socketserver
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType


class ApiServer:
    """`with ApiServer(path, answers) as server:` serves documents by path without its query; others are 404."""

    def __init__(self, path: Path, answers: Mapping[str, object]) -> None:
        self.path = path

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = answers.get(self.path.partition("?")[0])
                body = json.dumps(document).encode()
                self.send_response(404 if document is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def address_string(self) -> str:
                return "socket"

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "ApiServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
