"""etcd's own gateway: its gRPC calls as JSON over HTTPS on loopback, port 2382 (etcd docs, "gRPC gateway").

Port 2379 speaks gRPC alone. 64-bit numbers are texts in JSON, zeros and false are left out, and a stream is one JSON
document per line.
"""

import asyncio
import base64
import binascii
import hashlib
import http.client
import json
import ssl
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from bundles.errors import FormatError, SealiftError
from runtime.configs.etcd import HTTP_PORT
from runtime.daemon.api import Identity, ask, tls_context
from runtime.etcd.members import Member, read_members
from runtime.nodeconf.model import NodeConfig, bracketed

_SECONDS: Final = 20.0  # as k3s gives MemberAddAsLearner
_MAX_LINE: Final = 4 << 20  # bytes of one piece of a stream
_SHA256: Final = 32  # bytes that end a snapshot
_JSON: Final = {"Content-Type": "application/json"}


class EtcdError(SealiftError):
    """etcd answered, and refused: `message` is its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How one member stands: identities as decimal texts; `applied` is Raft's index, `size` in bytes."""

    member: str
    leader: str
    applied: int
    learner: bool
    size: int

    @property
    def leads(self) -> bool:
        """Whether this member is the leader."""
        return self.leader == self.member


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """The gateway at `url`, asked as `identity`. Calls raise EtcdError for a refusal, SealiftError for no answer."""

    url: str
    identity: Identity

    async def members(self) -> tuple[Member, ...]:
        """All members."""
        return read_members(await self.call("cluster/member/list"), where=self.url)

    async def status(self) -> Status:
        """How this member stands; a learner answers too."""
        return read_status(await self.call("maintenance/status"), where=self.url)

    async def add_learner(self, peer_url: str) -> tuple[Member, ...]:
        """Adds a member that does not vote yet; returns all."""
        document = await self.call("cluster/member/add", {"peerURLs": [peer_url], "isLearner": True})
        return read_members(document, where=self.url)

    async def promote(self, member: str) -> None:
        """Makes a learner a voter; refused while it has not caught up."""
        await self.call("cluster/member/promote", {"ID": member})

    async def remove(self, member: str) -> None:
        """Takes a member out of the cluster, for ever."""
        await self.call("cluster/member/remove", {"ID": member})

    async def get(self, key: str) -> bytes | None:
        """The value of one key, None when there is none."""
        document = await self.call("kv/range", {"key": base64.b64encode(key.encode()).decode()})
        try:
            found = document.get("kvs", [])
            return base64.b64decode(found[0]["value"], validate=True) if found else None
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise FormatError("not a key of etcd", where=self.url, got=repr(document)[:200]) from exc

    async def names(self, prefix: str, *, own: bool = False) -> tuple[str, ...]:
        """The keys that begin with `prefix`, in order; `own`: as this member has them, without asking the others."""
        begin = prefix.encode()
        asked = {"key": _base64(begin), "range_end": _base64(begin[:-1] + bytes([begin[-1] + 1]))}
        document = await self.call("kv/range", asked | {"serializable": own, "keys_only": True})
        try:
            return tuple(base64.b64decode(row["key"], validate=True).decode() for row in document.get("kvs", []))
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise FormatError("not keys of etcd", where=self.url, got=repr(document)[:200]) from exc

    async def put(self, key: str, value: bytes) -> None:
        """Writes one key."""
        await self.call("kv/put", {"key": _base64(key.encode()), "value": _base64(value)})

    async def replace(self, key: str, before: bytes, value: bytes) -> bool:
        """Writes one key while it still has the value `before`; False when it has another."""
        name = _base64(key.encode())
        compare = {"key": name, "target": "VALUE", "result": "EQUAL", "value": _base64(before)}
        write = {"requestPut": {"key": name, "value": _base64(value)}}
        document = await self.call("kv/txn", {"compare": [compare], "success": [write]})
        return isinstance(document, dict) and document.get("succeeded") is True

    async def delete(self, key: str) -> None:
        """Deletes one key; one that is not there is fine."""
        await self.call("kv/deleterange", {"key": _base64(key.encode())})

    async def snapshot(self, write: Callable[[bytes], object]) -> int:
        """Passes the whole database to `write`, in pieces, and its sha256 as last 32 bytes; returns the size of both.

        Raises FormatError when the bytes are not those of the hash: what was written is worthless then.
        """
        return await asyncio.to_thread(_stream, self.url, self.identity, write)

    async def call(self, path: str, body: object = None) -> Any:
        """POST of `/v3/PATH` -> the answer."""
        data = json.dumps(body or {}).encode()
        url = f"{self.url}/v3/{path}"
        answer = await ask(url, self.identity, method="POST", body=data, headers=_JSON, seconds=_SECONDS)
        document = answer.document()
        if answer.status != HTTPStatus.OK:
            raise EtcdError(_complaint(document), where=url)
        return document


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def local_gateway(node: NodeConfig) -> Gateway:
    """This server's own etcd."""
    tls = node.paths.tls / "etcd"
    identity = Identity(authority=tls / "server-ca.crt", certificate=tls / "client.crt", key=tls / "client.key")
    return Gateway(url=f"https://{bracketed(node.loopback)}:{HTTP_PORT}", identity=identity)


def read_status(document: Any, *, where: object) -> Status:
    """The answer of `maintenance/status`. Raises FormatError for anything else."""
    try:
        return Status(
            member=str(int(document["header"]["member_id"])),
            leader=str(int(document.get("leader", 0))),
            applied=int(document.get("raftAppliedIndex", 0)),
            learner=document.get("isLearner", False) is True,
            size=int(document.get("dbSize", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise FormatError("not the status of an etcd", where=where, got=repr(document)[:200]) from exc


def _complaint(document: Any) -> str:
    message = document.get("message") if isinstance(document, dict) else None
    return message[:300] if isinstance(message, str) else "etcd did not answer as expected"


def _stream(url: str, identity: Identity, write: Callable[[bytes], object]) -> int:
    parts = urllib.parse.urlsplit(url)
    connection: http.client.HTTPConnection
    context: ssl.SSLContext | None = tls_context(identity) if parts.scheme == "https" else None
    if context is not None:
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        connection.request("POST", "/v3/maintenance/snapshot", body=b"{}", headers=_JSON)
        with connection.getresponse() as response:
            return _pieces(response, write)
    except (OSError, http.client.HTTPException) as exc:
        raise SealiftError(f"etcd's snapshot broke off: {exc}", where=url) from exc
    finally:
        connection.close()


def _pieces(response: http.client.HTTPResponse, write: Callable[[bytes], object]) -> int:
    """The last 32 bytes are held back: they are the hash of those before."""
    digest, held, size = hashlib.sha256(), b"", 0
    while line := response.readline(_MAX_LINE):
        if not line.strip():
            continue
        held += _piece(line)
        ready, held = held[:-_SHA256], held[-_SHA256:]
        digest.update(ready)
        write(ready)
        size += len(ready)
    if size == 0 or held != digest.digest():
        raise FormatError("etcd's snapshot is not whole", got=held.hex(), want=digest.hexdigest())
    write(held)
    return size + len(held)


def _piece(line: bytes) -> bytes:
    try:
        document = json.loads(line)
        if "error" in document or "result" not in document:
            raise EtcdError(_complaint(document.get("error", document)))
        return base64.b64decode(document["result"].get("blob", ""), validate=True)
    except (ValueError, TypeError, AttributeError, binascii.Error) as exc:
        raise FormatError("not a piece of a snapshot", got=repr(line[:100])) from exc
