"""A few lines of etcd's gateway on loopback, and a small database as bbolt writes it."""

import base64
import hashlib
import json
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from runtime.daemon.api import Identity
from runtime.etcd.bolt import _fnv64a
from runtime.etcd.gateway import Gateway

PAGE = 4096


@dataclass
class FakeEtcd:
    """`with FakeEtcd(...) as etcd:`; members as rows of JSON, one learner at a time, a database to stream."""

    members: list[dict[str, Any]] = field(default_factory=list)
    behind: set[str] = field(default_factory=set)
    database: bytes = b""
    damage: bool = False
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def gateway(self) -> Gateway:
        return Gateway(url=f"http://127.0.0.1:{self._server.server_address[1]}", identity=Identity())

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        header = {"member_id": "1"}
        match path.removeprefix("/v3/"):
            case "cluster/member/list":
                return 200, {"header": header, "members": self.members}
            case "maintenance/status":
                return 200, {"header": header, "leader": "1", "raftAppliedIndex": "7", "dbSize": "20480"}
            case "cluster/member/add":
                if any(row.get("isLearner") for row in self.members):
                    return 400, {"code": 9, "message": "etcdserver: too many learner members in cluster"}
                self.members.append({"ID": str(len(self.members) + 1), "peerURLs": body["peerURLs"], "isLearner": True})
                return 200, {"header": header, "members": self.members}
            case "cluster/member/promote":
                if body["ID"] in self.behind:
                    return 400, {
                        "message": "etcdserver: can only promote a learner member which is in sync with leader"
                    }
                for row in self.members:
                    if row["ID"] == body["ID"]:
                        row.pop("isLearner", None)
                return 200, {"members": self.members}
            case "cluster/member/remove":
                self.members = [row for row in self.members if row["ID"] != body["ID"]]
                return 200, {"members": self.members}
            case "kv/put":
                self.keys[body["key"]] = body["value"]
                return 200, {"header": header}
            case "kv/range":
                found = self.keys.get(body["key"])
                return 200, {"header": header} | ({"kvs": [{"key": body["key"], "value": found}]} if found else {})
        return 404, {"message": "Not Found"}

    def stream(self) -> bytes:
        digest = hashlib.sha256(self.database).digest()
        data = self.database[:-1] + b"!" if self.damage else self.database
        pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)] + [digest]
        lines = [json.dumps({"result": {"blob": base64.b64encode(piece).decode()}}) for piece in pieces]
        return "".join(f"{line}\n" for line in lines).encode()

    def __enter__(self) -> "FakeEtcd":
        etcd = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/v3/maintenance/snapshot":
                    status, data = 200, etcd.stream()
                else:
                    status, document = etcd.answer(self.path, body)
                    data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def row(identity: int, name: str, host: str, *, learner: bool = False) -> dict[str, Any]:
    """A member as the gateway says it."""
    found: dict[str, Any] = {"ID": str(identity), "peerURLs": [f"https://{host}:2380"]}
    return found | ({"name": name} if name else {}) | ({"isLearner": True} if learner else {})


def leaf(entries: dict[bytes, tuple[int, bytes]], number: int = 0, size: int = 0) -> bytes:
    """A leaf page: key -> (1 for a bucket, value)."""
    head = struct.pack("<QHHI", number, 2, len(entries), 0)
    table, data = b"", b""
    for at, (key, (flags, value)) in enumerate(sorted(entries.items())):
        position = (len(entries) - at) * 16 + len(data)
        table += struct.pack("<IIII", flags, position, len(key), len(value))
        data += key + value
    page = head + table + data
    return page + bytes(size - len(page)) if size else page


def inline(entries: dict[bytes, bytes]) -> tuple[int, bytes]:
    """A small bucket, inside its parent's page."""
    return 1, struct.pack("<QQ", 0, 0) + leaf({key: (0, value) for key, value in entries.items()})


def meta(number: int, transaction: int, root: int, pages: int) -> bytes:
    """A meta page."""
    body = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, PAGE, 0, root, 0, (1 << 64) - 1, pages, transaction)
    page = struct.pack("<QHHI", number, 4, 0, 0) + body + struct.pack("<Q", _fnv64a(body))
    return page + bytes(PAGE - len(page))


def database(keys: dict[bytes, bytes] | None = None, *, pages: int = 4) -> bytes:
    """A database of etcd with two members; `keys`: of the key bucket, by revision, as protobuf; `pages` in all."""
    key_page = leaf({name: (0, value) for name, value in (keys or {}).items()}, 3, PAGE * (pages - 3))
    key_page = key_page[:12] + struct.pack("<I", pages - 4) + key_page[16:]
    counters = {b"consistent_index": (59).to_bytes(8, "big"), b"term": (3).to_bytes(8, "big"), b"confState": b"{}"}
    buckets = {
        b"members": inline({b"628170c800dbcee": b"{}", b"31b070aac5f22e62": b"{}"}),
        b"members_removed": inline({b"99": b"removed"}),
        b"meta": inline(counters),
        b"key": (1, struct.pack("<QQ", 3, 0)),
    }
    # The older meta page has a root that must not count.
    return meta(0, 4, 1, pages) + meta(1, 5, 2, pages) + leaf(buckets, 2, PAGE) + key_page


def key_value(key: bytes, value: bytes) -> bytes:
    """mvccpb.KeyValue: key, three revisions, value."""

    def field_of(number: int, data: bytes) -> bytes:
        size, text = len(data), b""
        while size > 127:
            text += bytes([size & 127 | 128])
            size >>= 7
        return bytes([number << 3 | 2]) + text + bytes([size]) + data

    return field_of(1, key) + b"\x10\x02\x18\x03\x20\x01" + field_of(5, value)
