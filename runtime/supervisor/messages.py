"""A request and its answer as values: what comes in from the network is bounded and parsed before it gets here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from cryptography import x509

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request.

    Args:
        method: as sent, upper case.
        path: decoded, without the query.
        headers: names in lower case; the last of several values.
        body: at most what the server reads (1 MiB).
        peer: the other side's address.
        certificate: the client's, when it showed one that our client authority signed.
        user: of HTTP's Basic scheme, empty without.
        secret: the same; never in `repr`.
        bearer: of the Bearer scheme (RFC 6750); the same.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = ""
    certificate: x509.Certificate | None = None
    user: str = ""
    secret: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """`size` bytes from `offset` of the file `path` in the bundle's `folder`; the file has to have `whole` bytes."""

    folder: Path
    path: str
    whole: int
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One answer; `body` is kept out of `repr`, it may hold keys. With a `part`, that is what is sent instead."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = field(default=b"", repr=False)
    kind: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)
    part: Part | None = None


def text(words: str) -> Response:
    """200 with words."""
    return Response(body=words.encode())


def document(value: object) -> Response:
    """200 with JSON."""
    return Response(body=json.dumps(value, sort_keys=True).encode() + b"\n", kind=JSON)


def refusal(status: HTTPStatus, reason: str = "") -> Response:
    """An error in the form that Kubernetes' clients read: a Status object. Nothing in it depends on any secret."""
    value = {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": reason or status.phrase,
        "reason": status.phrase.replace(" ", ""),
        "code": int(status),
    }
    headers = {"WWW-Authenticate": "Basic realm=rke2"} if status == HTTPStatus.UNAUTHORIZED else {}
    return Response(status=status, body=json.dumps(value).encode() + b"\n", kind=JSON, headers=headers)
