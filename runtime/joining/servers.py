"""The servers an agent knows: kept on disk, so that it finds another one when its first is gone. Pure but for the file.

RKE2's files: agent/etc/rke2-agent-load-balancer.json (supervisors) and rke2-api-server-agent-load-balancer.json.
"""

import ipaddress
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bundles import jsontext
from bundles.errors import FormatError, UsageError
from runtime.nodeconf.model import API_PORT, SUPERVISOR_PORT, bracketed
from runtime.nodefiles import SECRET_FILE, read_file, settle

SUPERVISORS: Final = "rke2-agent-load-balancer.json"
APISERVERS: Final = "rke2-api-server-agent-load-balancer.json"
MAX_SERVERS: Final = 64


@dataclass(frozen=True, order=True, slots=True)
class Server:
    """`host` (a name or an address, without brackets) and `port`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    ServerURL: str
    ServerAddresses: list[str] = []


def parse_server(text: str, *, default_port: int) -> Server:
    """`HOST[:PORT]` -> Server. Raises FormatError."""
    parts = urllib.parse.urlsplit(f"//{text}")
    try:
        port = parts.port or default_port
    except ValueError as exc:
        raise FormatError("not a server's address", got=text[:100], want="HOST:PORT") from exc
    if not parts.hostname or parts.username or parts.path or parts.query:
        raise FormatError("not a server's address", got=text[:100], want="HOST:PORT")
    return Server(parts.hostname, port)


def first_server(url: str) -> Server:
    """The configuration's `server` (https://HOST:9345) -> where to begin. Raises UsageError."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or parts.path not in ("", "/"):
        raise UsageError("not a server's address", got=url[:100], want="https://HOST:9345")
    try:
        return parse_server(parts.netloc, default_port=SUPERVISOR_PORT)
    except FormatError as exc:
        raise UsageError("not a server's address", got=url[:100], want="https://HOST:9345") from exc


def supervisors_of(apiservers: Iterable[Server]) -> tuple[Server, ...]:
    """Each server runs both: the same hosts at 9345."""
    return tuple(dict.fromkeys(Server(server.host, SUPERVISOR_PORT) for server in apiservers))


def read_apiservers(document: object, *, where: object) -> tuple[Server, ...]:
    """What `/v1-rke2/apiservers` says -> servers, sorted. Raises FormatError for anything else."""
    if not isinstance(document, list) or len(document) > MAX_SERVERS:
        raise FormatError("not a list of apiservers", where=where)
    found = []
    for text in document:
        if not isinstance(text, str):
            raise FormatError("not a list of apiservers", where=where)
        server = parse_server(text, default_port=API_PORT)
        ipaddress.ip_address(server.host) if ":" in server.host else None
        found.append(server)
    return tuple(sorted(set(found)))


def read_list(path: Path) -> tuple[Server, ...]:
    """The servers kept in a file; none when there is no file, or one that cannot be read: it is only a memory."""
    data = read_file(path)
    if data is None:
        return ()
    try:
        document = jsontext.decode(data, _Document, where=path)
        return tuple(parse_server(text, default_port=SUPERVISOR_PORT) for text in document.ServerAddresses)
    except FormatError:
        return ()


def write_list(path: Path, first: Server, servers: Iterable[Server]) -> None:
    """Keeps the servers."""
    document = _Document(ServerURL=f"https://{first}", ServerAddresses=[str(server) for server in servers])
    settle(path, jsontext.encode_canonical(document), SECRET_FILE)
