"""Questions to the cluster from outside of its network: HTTP over a socket file that `kubectl proxy` serves inside."""

import asyncio
import http.client
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from bundles.errors import FormatError, MissingError, SealiftError
from runtime.prove.objects import Cluster, Event, HelmChart, Job, Node, Pod, Workload

T = TypeVar("T")
_SECONDS: Final = 5.0
_MAX_ANSWER: Final = 64 << 20  # bytes
_PULLING: Final = "/api/v1/events?fieldSelector=reason%3DPulling&limit=500"


class _List(msgspec.Struct, Generic[T], frozen=True):
    items: list[T] | None = None


class Ask(Protocol):
    """Who answers a GET."""

    async def __call__(self, path: str) -> bytes:
        """The body. Raises MissingError for 404, SealiftError when there is no good answer."""


@dataclass(frozen=True, slots=True)
class SocketApi:
    """The apiserver behind the socket file at `path`."""

    path: Path

    async def __call__(self, path: str) -> bytes:
        """See Ask."""
        return await asyncio.to_thread(self._ask, path)

    def _ask(self, path: str) -> bytes:
        connection = _SocketConnection(self.path)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(_MAX_ANSWER)
        except (OSError, http.client.HTTPException) as exc:
            raise SealiftError(f"the apiserver does not answer: {exc}", where=path) from exc
        finally:
            connection.close()
        if answer.status == http.client.NOT_FOUND:
            raise MissingError("the apiserver knows nothing of it", where=path)
        if answer.status != http.client.OK:
            raise SealiftError(
                f"the apiserver answers {answer.status}", where=path, got=body[:500].decode(errors="replace")
            )
        return body


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Instead of TCP."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


async def look(ask: Ask) -> Cluster:
    """The cluster now; not known while the apiserver does not answer."""
    try:
        return Cluster(
            known=True,
            nodes=await _items(ask, "/api/v1/nodes", Node),
            pods=await _items(ask, "/api/v1/pods", Pod),
            deployments=await _items(ask, "/apis/apps/v1/deployments", Workload),
            daemon_sets=await _items(ask, "/apis/apps/v1/daemonsets", Workload),
            stateful_sets=await _items(ask, "/apis/apps/v1/statefulsets", Workload),
            jobs=await _items(ask, "/apis/batch/v1/jobs", Job),
            charts=await _items(ask, "/apis/helm.cattle.io/v1/helmcharts", HelmChart, may_miss=True),
            pulls=await _items(ask, _PULLING, Event),
        )
    except FormatError:
        raise
    except SealiftError:
        return Cluster()


async def _items(ask: Ask, path: str, type_: type[T], *, may_miss: bool = False) -> tuple[T, ...]:
    """The items of a list; a kind that nobody defined yet has none."""
    try:
        body = await ask(path)
    except MissingError:
        if may_miss:
            return ()
        raise
    try:
        found: _List[T] = msgspec.json.decode(body, type=_List[type_])  # type: ignore[valid-type]
    except msgspec.DecodeError as exc:
        raise FormatError(f"unexpected answer: {exc}", where=path) from exc
    return tuple(found.items or ())
