"""For agents: the admitted bundle and its images, read-only (OCI distribution spec, "Pull"). Pure.

Names in a path are looked up and never become paths of files. Several ranges at once are answered with the whole, as
RFC 9110 (14.2) allows.
"""

import json
import re
from http import HTTPStatus
from typing import Final

from runtime.supervisor.catalogue import Catalogue
from runtime.supervisor.facts import Facts
from runtime.supervisor.messages import JSON, Part, Request, Response

PREFIX: Final = "/v2/"
_PATH: Final = re.compile(
    r"/v2/([a-z0-9][a-z0-9._:/-]{0,254})/(manifests|blobs|tags)/([A-Za-z0-9_][A-Za-z0-9._:-]{0,127})"
)
_RANGE: Final = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")
_API: Final = {"Docker-Distribution-API-Version": "registry/2.0"}
_BYTES: Final = "application/octet-stream"


def registry(request: Request, facts: Facts) -> Response:
    """Whatever is asked below /v2/."""
    if request.path == PREFIX:
        return Response(body=b"{}\n", kind=JSON, headers=_API)
    found = _PATH.fullmatch(request.path)
    catalogue = facts.catalogue
    if found is None or catalogue is None:
        return _unknown("NAME_UNKNOWN")
    name, what, reference = found.groups()
    tags = catalogue.tags.get(name)
    if tags is None:
        return _unknown("NAME_UNKNOWN")
    if what == "tags":
        body = json.dumps({"name": name, "tags": sorted(tags)}).encode() + b"\n"
        return Response(body=body, kind=JSON, headers=_API) if reference == "list" else _unknown("NAME_UNKNOWN")
    if what == "blobs":
        return _blob(catalogue, reference, _BYTES, request)
    digest = tags.get(reference, reference)
    kind = catalogue.kinds.get(digest)
    return _unknown("MANIFEST_UNKNOWN") if kind is None else _blob(catalogue, digest, kind, request)


def _blob(catalogue: Catalogue, digest: str, kind: str, request: Request) -> Response:
    headers = _API | {"Docker-Content-Digest": digest, "Accept-Ranges": "bytes"}
    if (small := catalogue.small.get(digest)) is not None:
        return Response(body=small, kind=kind, headers=headers)
    place = catalogue.places.get(digest)
    if place is None:
        return _unknown("BLOB_UNKNOWN")
    wanted = _range(request.headers.get("range", ""), place.size)
    if wanted is None:
        part = Part(folder=catalogue.folder, path=place.path, whole=place.whole, offset=place.offset, size=place.size)
        return Response(kind=kind, headers=headers, part=part)
    first, count = wanted
    if count <= 0:
        return Response(
            status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers={"Content-Range": f"bytes */{place.size}"}
        )
    part = Part(folder=catalogue.folder, path=place.path, whole=place.whole, offset=place.offset + first, size=count)
    headers |= {"Content-Range": f"bytes {first}-{first + count - 1}/{place.size}"}
    return Response(status=HTTPStatus.PARTIAL_CONTENT, kind=kind, headers=headers, part=part)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """The first byte and how many; none or fewer: it cannot be satisfied. None: no range, or one that is not taken."""
    found = _RANGE.fullmatch(header)
    if found is None:
        return None
    first = int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < first:
        return None  # not a range at all (RFC 9110, 14.1.1)
    return first, last - first + 1


def _unknown(code: str) -> Response:
    body = json.dumps({"errors": [{"code": code, "message": code.replace("_", " ").lower()}]}).encode() + b"\n"
    return Response(status=HTTPStatus.NOT_FOUND, body=body, kind=JSON)
