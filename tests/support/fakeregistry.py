"""A registry in memory on loopback that does what it is told: cuts, lies, stalls, sends elsewhere, wants tokens.

What it does right follows distribution-spec 1.1. It keeps every request it saw.
"""

import contextlib
import hashlib
import json
import re
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundles.digest import Digest
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.timing import Timing
from tests.support.quiethttp import QuietHandler, serving

OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Seen:
    """A request; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Fault:
    """What to do in place of the right thing; `cut` and `flip` change the right body, the rest replaces it."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None  # bytes after which the connection ends
    flip: bool = False
    endless: bool = False  # a body without length that does not end by itself
    longer: bytes = b""  # behind the right body, and counted in its length
    drop: bool = False  # not one byte of an answer
    refuse_upload_at: int | None = None  # bytes of a request's body that are taken before the connection ends


Faults = Callable[[Seen, int], Fault | None]
"""The request and its number, from 1 on -> what goes wrong."""


@dataclass
class Tokens:
    """Wants a token by (repository, actions), given out below /token; `user` and `password` for it, or none."""

    basic: str = ""  # the Authorization that the token server wants; empty: gives to anybody
    life: float = 300
    answer: bytes | None = None  # what the token server says instead
    realm: str = ""  # another one than its own
    refresh: str = ""  # an identity token that the server wants by POST
    valid: set[str] = field(default_factory=set)
    given: int = 0


class FakeRegistry:
    """Its content can be looked at and changed at any time; `host` is HOST:PORT."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.begun = 0  # uploads so far
        self.seen: list[Seen] = []
        self.faults: Faults = lambda seen, number: None
        self.ranges = True
        self.referrers_api = False
        self.basic = ""  # the Authorization it wants of everybody
        self.tokens: Tokens | None = None
        self.host = ""
        self.scheme = "http"
        self.lock = threading.Lock()

    def add(self, repository: str, data: bytes) -> Digest:
        """Puts a blob there."""
        digest = Digest.of(data)
        self.blobs[repository, str(digest)] = data
        return digest

    def add_manifest(self, repository: str, tag: str, plain: Any, kind: str | None = None) -> Digest:
        """Puts a manifest there, by tag and digest; `plain` is bytes or what JSON can hold."""
        data = plain if isinstance(plain, bytes) else json.dumps(plain).encode()
        digest = Digest.of(data)
        for reference in (tag, str(digest)):
            self.manifests[repository, reference] = (kind or plain["mediaType"], data)
        return digest

    def paths(self, method: str = "") -> list[str]:
        """The paths that were asked for."""
        return [seen.path for seen in self.seen if not method or seen.method == method]


class _Handler(QuietHandler):
    registry: FakeRegistry

    def _serve(self) -> None:
        registry = self.registry
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers)
        with registry.lock:
            registry.seen.append(seen)
            number = len(registry.seen)
        fault = registry.faults(seen, number)
        length = int(headers.get("content-length", 0))
        if fault is not None and fault.refuse_upload_at is not None:
            self._take_part(self.rfile.read(fault.refuse_upload_at))
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if fault is not None and fault.drop:
            self.close_connection = True
            return
        if fault is not None and fault.status:
            self._answer(fault.status, dict(fault.headers), fault.body)
            return
        if fault is not None and fault.endless:
            self._endless()
            return
        status, answer, data = self._right(seen, body)
        if fault is not None:
            data = data[:-1] + bytes([data[-1] ^ 1]) if fault.flip else data
            data += fault.longer
        self._answer(status, answer, data, fault.cut if fault is not None else None)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _serve

    def _answer(self, status: int, headers: dict[str, str], data: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:cut])
        if cut is not None:
            self.close_connection = True

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(4096):
                self.wfile.write(bytes(1 << 16))
        self.close_connection = True

    def _take_part(self, data: bytes) -> None:
        upload = urllib.parse.urlsplit(self.path).path.rpartition("/")[2]
        if self.command == "PATCH":
            self.registry.uploads[upload] += data

    def _right(self, seen: Seen, body: bytes) -> tuple[int, dict[str, str], bytes]:
        parts = urllib.parse.urlsplit(seen.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/token":
            return self._token(seen, parts.query, body)
        if (refused := self._unauthorized(seen)) is not None:
            return refused
        if found := re.fullmatch(r"/v2/(.+)/tags/list", parts.path):
            return self._tags(found[1], query)
        found = re.fullmatch(r"/v2/(.+?)/(blobs/uploads|blobs|manifests|referrers)/(.*)", parts.path)
        if not found:
            return 404, {}, b"404 page not found"
        repository, kind, name = found.groups()
        served: dict[str, Callable[[], tuple[int, dict[str, str], bytes]]] = {
            "blobs/uploads": lambda: self._upload(repository, name, query, body),
            "blobs": lambda: self._blob(repository, name),
            "manifests": lambda: self._manifest(repository, name, body),
            "referrers": lambda: self._referrers(repository, name),
        }
        return served[kind]()

    def _tags(self, repository: str, query: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        tags = sorted(tag for where, tag in self.registry.manifests if where == repository and ":" not in tag)
        if not tags:
            return 404, {}, _error("NAME_UNKNOWN", "no such repository")
        left = [tag for tag in tags if tag > query.get("last", "")]
        page = left[: int(query.get("n", len(left)))]
        more = f"/v2/{repository}/tags/list?n={len(page)}&last={page[-1]}" if len(page) < len(left) else ""
        headers = {"Link": f'<{more}>; rel="next"'} if more else {}
        return 200, headers, json.dumps({"name": repository, "tags": page}).encode()

    def _blob(self, repository: str, name: str) -> tuple[int, dict[str, str], bytes]:
        data = self.registry.blobs.get((repository, name))
        if data is None:
            return 404, {}, _error("BLOB_UNKNOWN", "no such blob")
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.registry.ranges:
            start = int(asked[1])
            return 206, {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}, data[start:]
        if self.command == "HEAD":
            return 200, {"Content-Length": str(len(data))}, b""
        return 200, {}, data

    def _manifest(self, repository: str, name: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.command == "PUT":
            kind = self.headers["Content-Type"]
            digest = self.registry.add_manifest(repository, name, body, kind)
            subject = json.loads(body).get("subject")
            more = {"OCI-Subject": subject["digest"]} if subject and self.registry.referrers_api else {}
            return 201, {"Docker-Content-Digest": str(digest), **more}, b""
        found = self.registry.manifests.get((repository, name))
        if found is None:
            return 404, {}, _error("MANIFEST_UNKNOWN", "no such manifest")
        kind, data = found
        headers = {"Content-Type": kind, "Docker-Content-Digest": str(Digest.of(data))}
        if self.command == "HEAD":
            return 200, {**headers, "Content-Length": str(len(data))}, b""
        return 200, headers, data

    def _referrers(self, repository: str, digest: str) -> tuple[int, dict[str, str], bytes]:
        if not self.registry.referrers_api:
            return 404, {}, b"404 page not found"
        listed = {}
        for (where, _), (kind, data) in self.registry.manifests.items():
            plain = json.loads(data)
            if where == repository and (plain.get("subject") or {}).get("digest") == digest:
                listed[str(Digest.of(data))] = {
                    "mediaType": kind, "digest": str(Digest.of(data)), "size": len(data),
                    "artifactType": plain.get("artifactType", ""),
                }  # fmt: skip
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(listed.values())}
        return 200, {"Content-Type": OCI_INDEX}, json.dumps(index).encode()

    def _upload(
        self, repository: str, name: str, query: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        registry = self.registry
        if self.command == "POST":
            mounted = registry.blobs.get((query.get("from", ""), query.get("mount", "")))
            if mounted is not None:
                registry.blobs[repository, query["mount"]] = mounted
                return 201, {"Location": f"/v2/{repository}/blobs/{query['mount']}"}, b""
            with registry.lock:
                registry.begun += 1  # never a name again: two uploads at once would share their bytes
                name = f"upload{registry.begun}"
                registry.uploads[name] = bytearray()
            return 202, {"Location": f"/v2/{repository}/blobs/uploads/{name}?state=1", "Range": "0-0"}, b""
        if name not in registry.uploads:
            return 404, {}, _error("BLOB_UPLOAD_UNKNOWN", "no such upload")
        upload = registry.uploads[name]
        if self.command == "PATCH":
            start = int(self.headers["Content-Range"].partition("-")[0])
            if start != len(upload):
                return 416, {}, b""
        if self.command != "GET":
            upload += body
        place = {"Location": f"/v2/{repository}/blobs/uploads/{name}?state=2", "Range": f"0-{max(0, len(upload) - 1)}"}
        if self.command == "GET":
            return 204, place, b""
        if self.command == "PATCH":
            return 202, place, b""
        if f"sha256:{hashlib.sha256(upload).hexdigest()}" != query["digest"]:
            return 400, {}, _error("DIGEST_INVALID", "provided digest did not match uploaded content")
        registry.blobs[repository, query["digest"]] = bytes(upload)
        del registry.uploads[name]
        return 201, {"Docker-Content-Digest": query["digest"]}, b""

    def _unauthorized(self, seen: Seen) -> tuple[int, dict[str, str], bytes] | None:
        registry, sent = self.registry, seen.headers.get("authorization", "")
        if registry.basic and sent != registry.basic:
            return 401, {"WWW-Authenticate": 'Basic realm="here"'}, _error("UNAUTHORIZED", "who?")
        if registry.tokens is None:
            return None
        repository = re.match(r"/v2/(.+?)/(?:blobs|manifests|referrers|tags)/", seen.path)
        assert repository
        actions = "pull" if seen.method in ("GET", "HEAD") else "pull,push"
        known = sent.removeprefix("Bearer ") in registry.tokens.valid
        if known and f".{repository[1].replace('/', '_')}." in sent and (actions == "pull" or "push" in sent):
            return None
        realm = registry.tokens.realm or f"{registry.scheme}://{registry.host}/token"
        scope = f"repository:{repository[1]}:{'pull,push' if 'push' in actions else 'pull'}"
        asked = f'Bearer realm="{realm}",service="fake",scope="{scope}"'
        return 401, {"WWW-Authenticate": asked}, _error("UNAUTHORIZED", f"not with {sent}")

    def _token(self, seen: Seen, query: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        tokens = self.registry.tokens
        assert tokens is not None
        if tokens.answer is not None:
            return 200, {}, tokens.answer
        asked = urllib.parse.parse_qs(body.decode() if seen.method == "POST" else query)
        if tokens.basic and seen.headers.get("authorization") != tokens.basic:
            return 401, {}, b""
        if tokens.refresh and asked.get("refresh_token") != [tokens.refresh]:
            return 401, {}, b""
        names = ".".join(
            scope.split(":")[1].replace("/", "_") + "." + scope.split(":")[2].replace(",", "-")
            for word in asked["scope"] for scope in word.split()
        )  # fmt: skip
        with self.registry.lock:
            tokens.given += 1
            token = f"t0ken{tokens.given}.{names}.end"
            tokens.valid.add(token)
        return 200, {}, json.dumps({"token": token, "expires_in": tokens.life}).encode()


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@contextlib.contextmanager
def fake_registry(*, certificate: Path | None = None, client_ca: Path | None = None) -> Iterator[FakeRegistry]:
    """Runs one; `certificate`: a PEM file with key and certificate, for TLS; `client_ca`: clients need one of its."""
    registry = FakeRegistry()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        registry.scheme = "https"
    with serving(_Handler, context, registry=registry) as registry.host:
        yield registry


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)

    @property
    def timing(self) -> Timing:
        return Timing(monotonic=lambda: self.now, wall=lambda: self.now, sleep=self.sleep, jitter=lambda: 0.0)


@contextlib.contextmanager
def client(clock: Clock, settings: Settings | None = None) -> Iterator[HttpRegistry]:
    """Our client, whose sleeps take no time."""
    registry = HttpRegistry(settings or Settings(), clock.timing)
    try:
        yield registry
    finally:
        registry.close()
