"""Which server answers for each file of server/manifests: one of them, so that two with different files do not fight.

k3s has every server apply its own files and leaves it to people to keep them the same. Here a ConfigMap says which
server applied a file last, and what. That one applies it at each start and after each change. Another applies it only
when somebody changed its own file since it last looked, and answers for it from then on; or when that server is gone.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import msgspec

from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError
from runtime.daemon.api import Identity, ask

NAME: Final = "sealift-manifests"
_KEY: Final = "files.json"
_PLACE: Final = "/api/v1/namespaces/kube-system/configmaps"
_JSON: Final = {"Content-Type": "application/json"}
_TRIES: Final = 5


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A file: the server that applied it last, and the digest of what it applied."""

    node: str
    sha256: str


class Decision(Enum):
    """What a server does with a file of its own."""

    APPLY = "apply"
    SAME = "same"  # another applied the very same: nothing to do
    OTHER = "other"  # another applied something else, and this server's file is no newer than that


def decide(held: Held | None, *, node: str, digest: Digest, before: Digest | None, alive: bool) -> Decision:
    """Pure.

    Args:
        held: what the cluster has of the file; None: nothing.
        node: this server.
        digest: of its file now.
        before: of its file when it looked last, in whatever run; None: never.
        alive: whether the other server is one of the cluster still.
    """
    if held is None or held.node == node:
        return Decision.APPLY
    if held.sha256 == str(digest):
        return Decision.SAME if alive else Decision.APPLY
    changed = before is not None and before != digest
    return Decision.APPLY if changed or not alive else Decision.OTHER


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """The ConfigMap at one moment; `version` is empty while there is none."""

    files: Mapping[str, Held]
    version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Holders:
    """The ConfigMap behind the apiserver at `url`. Calls raise SealiftError when it does not answer as it should."""

    url: str
    identity: Identity = field(repr=False)

    async def read(self) -> Book:
        """What it says; one that somebody has spoiled counts as empty, and is written anew."""
        answer = await ask(f"{self.url}{_PLACE}/{NAME}", self.identity)
        if answer.status == HTTPStatus.NOT_FOUND:
            return Book(files={})
        if answer.status != HTTPStatus.OK:
            raise SealiftError("the holders of manifests are not known", got=answer.status)
        return read_book(answer.document())

    async def write(self, book: Book) -> bool:
        """Replaces it; False when another was faster."""
        metadata = {"name": NAME, "namespace": "kube-system"} | (
            {"resourceVersion": book.version} if book.version else {}
        )
        text = json.dumps(msgspec.to_builtins(dict(book.files)), sort_keys=True, indent=1)
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {_KEY: text}}
        url, method = (f"{self.url}{_PLACE}/{NAME}", "PUT") if book.version else (f"{self.url}{_PLACE}", "POST")
        answer = await ask(url, self.identity, method=method, body=json.dumps(body).encode(), headers=_JSON)
        if answer.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
            return False
        if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise SealiftError("the holders of manifests cannot be written", got=answer.status)
        return True


def read_book(document: Any) -> Book:
    """A ConfigMap -> Book. Raises FormatError for what is none."""
    try:
        version = str(document["metadata"]["resourceVersion"])
        text = (document.get("data") or {}).get(_KEY, "{}")
    except (KeyError, TypeError, AttributeError) as exc:
        raise FormatError("not a ConfigMap", where=NAME) from exc
    try:
        return Book(files=msgspec.json.decode(text, type=dict[str, Held]), version=version)
    except (msgspec.DecodeError, TypeError):
        return Book(files={}, version=version)


async def hold(
    holders: Holders,
    path: str,
    *,
    node: str,
    digest: Digest,
    before: Digest | None,
    nodes: Callable[[], Awaitable[frozenset[str]]],
) -> tuple[Decision, str]:
    """Decides for one file, and writes down that this server answers for it before it applies it.

    `nodes` tells the Nodes of the cluster. Returns the decision, and who answers for the file.
    """
    for _ in range(_TRIES):
        book = await holders.read()
        held = book.files.get(path)
        alive = held is not None and held.node != node and held.node in await nodes()
        decision = decide(held, node=node, digest=digest, before=before, alive=alive)
        ours = Held(node=node, sha256=str(digest))
        if decision is not Decision.APPLY:
            return decision, held.node if held is not None else node
        if held == ours or await holders.write(Book(files={**book.files, path: ours}, version=book.version)):
            return decision, node
    raise SealiftError("somebody else writes the holders of manifests all the time", where=NAME)
