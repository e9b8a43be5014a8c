"""`python -m bench.handmade.mirror HOST ARCHIVE`: the mirror job done by hand, by the least that gives both digests.

Manifests first, then every blob once, eight at a time, hashed as it arrives and written at its place; the sha256 of the
whole follows behind. No credentials, no retries, no look into any document, no records, no bundle, no wait for the
disk: what is left for a tool that does all of that is what it takes more than this. It uses nothing of Sealift.
"""

import hashlib
import http.client
import json
import os
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

IMAGES: Final = 200
THREADS: Final = 8
BLOCK: Final = 512  # bytes of a tar's header, and what it is padded to
ACCEPT: Final = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"


class Line:
    """Kept connections to one host, one for each thread."""

    def __init__(self, host: str) -> None:
        """`host`: HOST:PORT, plain HTTP."""
        self._host, self._own = host, threading.local()

    def get(self, path: str) -> http.client.HTTPResponse:
        """An answer, its body unread; only what is there counts."""
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(self._host)
        self._own.connection.request("GET", path, headers={"Accept": ACCEPT})
        answer: http.client.HTTPResponse = self._own.connection.getresponse()
        assert answer.status == 200, (path, answer.status)
        return answer


def manifest(line: Line, number: int, reference: str = "v1") -> tuple[int, bytes, dict[str, Any]]:
    """An image's manifest for amd64."""
    data = line.get(f"/v2/bench/image-{number:03}/manifests/{reference}").read()
    document = json.loads(data)
    if "manifests" in document:
        (one,) = (each for each in document["manifests"] if each["platform"]["architecture"] == "amd64")
        return manifest(line, number, one["digest"])
    return number, data, document


def fetch(line: Line, number: int, digest: str, size: int, file: int, offset: int) -> None:
    """A blob to its place."""
    answer, found, done = line.get(f"/v2/bench/image-{number:03}/blobs/{digest}"), hashlib.sha256(), 0
    buffer = memoryview(bytearray(1 << 17))
    while done < size:
        count = answer.readinto(buffer)
        found.update(buffer[:count])
        os.pwrite(file, buffer[:count], offset + done)
        done += count
    answer.read()
    assert f"sha256:{found.hexdigest()}" == digest


def follow(file: int, ends: dict[int, "Future[None]"]) -> str:
    """The sha256 of the whole, as far as it is there."""
    found, buffer, at = hashlib.sha256(), memoryview(bytearray(1 << 18)), 0
    for end, done in ends.items():
        done.result()
        while at < end:
            count = os.preadv(file, [buffer[: end - at]], at)
            found.update(buffer[:count])
            at += count
    return found.hexdigest()


def main() -> None:
    """See the module."""
    line, blobs, at = Line(sys.argv[1]), dict[str, tuple[int, int]](), 0
    file = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    with ThreadPoolExecutor(THREADS) as pool:
        for number, data, document in pool.map(lambda number: manifest(line, number), range(IMAGES)):
            os.pwrite(file, data, at + BLOCK)
            at += BLOCK + -(-len(data) // BLOCK) * BLOCK
            blobs |= {each["digest"]: (number, each["size"]) for each in (document["config"], *document["layers"])}
        ends: dict[int, Future[None]] = {}
        for digest, (number, size) in blobs.items():
            done = pool.submit(fetch, line, number, digest, size, file, at + BLOCK)
            ends[at + BLOCK + size] = done
            at += BLOCK + -(-size // BLOCK) * BLOCK
        os.ftruncate(file, at)
        print(follow(file, ends))


if __name__ == "__main__":
    main()
