"""Looks at files, the apiserver and etcd: a handful of small questions, each only when somebody asks."""

import asyncio
import os
import re
import shutil
import urllib.parse
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from runtime import admitted
from runtime.configs.etcd import HTTP_PORT
from runtime.daemon.api import Identity, ask
from runtime.health.answers import MAX_NODES, TABLE, read_etcd, read_nodes
from runtime.health.values import Certificate, Disk, Etcd, Health, NodeView
from runtime.layout import NodeLayout
from runtime.nodeconf.model import bracketed
from runtime.nodefiles import read_file
from runtime.nodepaths import NodePaths

_SECONDS: Final = 3.0
_SERVER: Final = re.compile(rb'"?server"?:\s*"?(https://[^"\s]+)')


async def look(layout: NodeLayout, *, now: int, node: str, server: bool, ask_cluster: bool) -> Health:
    """Everything that can be known here; who does not answer in 3 s is left out.

    Args:
        layout: the data directory.
        now: epoch seconds.
        node: the Node's name.
        server: whether this is a server: agents may only ask for their own Node.
        ask_cluster: False while nobody would answer.
    """
    paths = NodePaths(data=layout.data)
    url = await asyncio.to_thread(_api_url, paths) if ask_cluster else None
    nodes, etcd = None, None
    if url is not None:
        nodes, etcd = await asyncio.gather(_nodes(url, paths, node, server), _etcd(url, paths, server))
    return await asyncio.to_thread(_with_files, layout, paths, now, nodes, etcd)


def _with_files(
    layout: NodeLayout, paths: NodePaths, now: int, nodes: tuple[NodeView, ...] | None, etcd: Etcd | None
) -> Health:
    record = admitted.read(layout.admitted)
    return Health(
        now=now,
        bundle=record.bundle if record else "",
        expires=record.expires if record else None,
        certificates=tuple(sorted(certificates(paths))),
        disks=disks(layout),
        nodes=nodes,
        etcd=etcd,
    )


def certificates(paths: NodePaths) -> Iterator[Certificate]:
    """Each certificate below server/tls and agent, by the first one of its file; what is none is passed over."""
    from cryptography import x509

    for folder in (paths.tls, paths.agent):
        for path in sorted((*folder.glob("*.crt"), *folder.glob("etcd/*.crt"))):
            try:
                data = read_file(path)
                found = x509.load_pem_x509_certificates(data or b"")[0]
            except (SealiftError, ValueError, IndexError):
                continue
            yield Certificate(str(path.relative_to(paths.data)), int(found.not_valid_after_utc.timestamp()))


def disks(layout: NodeLayout) -> tuple[Disk, ...]:
    """The filesystems of the data directory, and of etcd and containerd where those have their own."""
    found: dict[int, Disk] = {}
    for path in (layout.data, layout.server / "db", layout.data / "agent" / "containerd"):
        try:
            device, usage = os.stat(path).st_dev, shutil.disk_usage(path)
        except OSError:
            continue
        found.setdefault(device, Disk(str(path), usage.total, usage.free))
    return tuple(found.values())


async def _nodes(url: str, paths: NodePaths, node: str, server: bool) -> tuple[NodeView, ...] | None:
    stem = paths.tls / "client-admin" if server else paths.agent / "client-kubelet"
    authority = (paths.tls if server else paths.agent) / "server-ca.crt"
    identity = Identity(authority=authority, certificate=_file(stem, "crt"), key=_file(stem, "key"))
    what = f"?limit={MAX_NODES}&includeObject=None" if server else f"/{urllib.parse.quote(node)}?includeObject=None"
    try:
        answer = await ask(f"{url}/api/v1/nodes{what}", identity, headers=TABLE, seconds=_SECONDS)
        return read_nodes(answer.document()) if answer.status == HTTPStatus.OK else None
    except SealiftError:
        return None


async def _etcd(url: str, paths: NodePaths, server: bool) -> Etcd | None:
    if not server:
        return None
    stem = paths.tls / "etcd" / "client"
    authority = paths.tls / "etcd" / "server-ca.crt"
    identity = Identity(authority=authority, certificate=_file(stem, "crt"), key=_file(stem, "key"))
    host = urllib.parse.urlsplit(url).hostname or ""
    gateway = f"https://{bracketed(host)}:{HTTP_PORT}/v3"
    try:
        answers = [
            await ask(f"{gateway}/{path}", identity, method="POST", body=b"{}", seconds=_SECONDS)
            for path in ("cluster/member/list", "maintenance/status")
        ]
        return read_etcd(*(answer.document() for answer in answers))
    except SealiftError:
        return None


def _api_url(paths: NodePaths) -> str | None:
    """Where this node's kubelet finds the apiserver."""
    data = read_file(paths.kubelet_kubeconfig)
    found = _SERVER.search(data) if data is not None else None
    return found[1].decode() if found else None


def _file(stem: Path, end: str) -> Path:
    return stem.with_name(f"{stem.name}.{end}")
