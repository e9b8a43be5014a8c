"""A client of several apiservers, run inside a machine: writes ConfigMaps, prints which were acknowledged and when.

`python -m runtime.prove.writing AUTHORITY CERTIFICATE KEY NAMESPACE COUNT LANES HOST...` prints `NAME SECONDS` a line.
Who does not answer is passed over for the next one, as balancers do. A name that is there already, because its answer
was lost, counts as acknowledged. Exit code 1 when some could not be written in time.
"""

import http.client
import json
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from runtime.nodeconf.model import API_PORT

_PATIENCE: Final = 120.0  # seconds for all of it
_SECONDS: Final = 5.0  # for one answer
_PAUSE: Final = 0.2  # before the next server
_HEADERS: Final = {"Content-Type": "application/json"}


@dataclass(slots=True)
class Writing:
    """What several lanes share: the names that are still to be written."""

    context: ssl.SSLContext
    namespace: str
    hosts: Sequence[str]
    names: Iterator[str]
    end: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    failed: bool = False

    def lane(self, first: int) -> None:
        """Writes until there is nothing left; `first` is the server to begin with."""
        link = _Link(self, first)
        while (name := self._next()) is not None:
            while not link.write(name):
                if time.monotonic() > self.end:
                    self.failed = True
                    return
            with self.lock:
                print(name, f"{time.monotonic():.3f}", flush=True)

    def _next(self) -> str | None:
        with self.lock:
            return next(self.names, None)


@dataclass(slots=True)
class _Link:
    writing: Writing
    at: int
    connection: http.client.HTTPSConnection | None = None

    def write(self, name: str) -> bool:
        """Whether it was acknowledged; if not, the next try goes to the next server."""
        body = json.dumps({"metadata": {"name": name}, "data": {"name": name}})
        path = f"/api/v1/namespaces/{self.writing.namespace}/configmaps"
        try:
            if self.connection is None:
                host = self.writing.hosts[self.at % len(self.writing.hosts)]
                context = self.writing.context
                self.connection = http.client.HTTPSConnection(host, API_PORT, timeout=_SECONDS, context=context)
            self.connection.request("POST", path, body=body, headers=_HEADERS)
            answer = self.connection.getresponse()
            answer.read()
            if answer.status in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
                return True
        except (OSError, http.client.HTTPException):
            pass
        if self.connection is not None:
            self.connection.close()
        self.connection, self.at = None, self.at + 1
        time.sleep(_PAUSE)
        return False


def main(arguments: Sequence[str]) -> int:
    """Arguments -> exit code."""
    authority, certificate, key, namespace, count, lanes, *hosts = arguments
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    names = (f"w{number}" for number in range(int(count)))
    writing = Writing(context, namespace, hosts, names, time.monotonic() + _PATIENCE)
    threads = [threading.Thread(target=writing.lane, args=(number,)) for number in range(int(lanes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return int(writing.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
