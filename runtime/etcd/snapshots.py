"""Snapshots of etcd as files: RKE2's names and format (the database, then its sha256), so that RKE2's tools read them.

A snapshot appears whole or not at all: temp beside the target, the hash that etcd sends is checked, then renamed.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.errors import FormatError, MissingError, SealiftError, UsageError
from bundles.files import atomic_writer, os_errors, remove_abandoned
from runtime.etcd.bolt import Database
from runtime.etcd.gateway import Gateway
from runtime.folders import SECRET_MODE, ensure_folder
from runtime.nodeconf.model import NodeConfig
from runtime.nodefiles import SECRET_FILE

HASH: Final = 32  # bytes at the end
_ALIGNED: Final = 512  # etcdutl: a database's size is a multiple of this; with the hash it is not
_NAME: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]{0,200}")
_STAMPED: Final = re.compile(r"(.+)-([0-9]{9,11})")
_PIECE: Final = 1 << 20


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Snapshot:
    """A file: `taken` in Unix seconds, `size` in bytes."""

    taken: int
    name: str
    path: Path
    size: int


def folder_of(node: NodeConfig) -> Path:
    """Where this server keeps them."""
    return node.snapshots.folder or node.paths.etcd_snapshots


def check_name(name: str) -> str:
    """A name as typed. Raises UsageError for one that could lead elsewhere."""
    if not _NAME.fullmatch(name):
        raise UsageError("not a name for a snapshot", got=name[:100], want="letters, digits, '-', '.', '_'")
    return name


async def save(gateway: Gateway, node: NodeConfig, prefix: str, now: int) -> Snapshot:
    """Takes one: PREFIX-NODE-SECONDS, 0600. Raises SealiftError when etcd does not answer, or the name is taken."""
    folder = folder_of(node)
    ensure_folder(folder, SECRET_MODE)
    remove_abandoned(folder)
    target = folder / f"{check_name(prefix)}-{node.node_name}-{now}"
    if target.exists():
        raise SealiftError("a snapshot of this name is there", where=target, hint="try again in a second")
    with atomic_writer(target, mode=SECRET_FILE) as writer:
        size = await gateway.snapshot(writer.write)
    return Snapshot(taken=now, name=target.name, path=target, size=size)


def listed(folder: Path) -> tuple[Snapshot, ...]:
    """Those in a folder, oldest first; none when there is no folder."""
    found = []
    with os_errors(folder):
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return ()
        for entry in entries:
            stamped = _STAMPED.fullmatch(entry.name)
            if stamped and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                size = entry.stat(follow_symlinks=False).st_size
                found.append(Snapshot(taken=int(stamped[2]), name=entry.name, path=folder / entry.name, size=size))
    return tuple(sorted(found))


def surplus(found: Iterable[Snapshot], prefix: str, retention: int) -> tuple[Snapshot, ...]:
    """Those of one prefix (PREFIX-NODE) beyond the `retention` newest; none for 0, which keeps all."""
    mine = [snapshot for snapshot in sorted(found) if snapshot.name == f"{prefix}-{snapshot.taken}"]
    return tuple(mine[:-retention]) if retention > 0 else ()


def prune(node: NodeConfig, prefix: str, retention: int) -> tuple[Snapshot, ...]:
    """Deletes what is beyond the retention; returns that."""
    gone = surplus(listed(folder_of(node)), f"{prefix}-{node.node_name}", retention)
    for snapshot in gone:
        with os_errors(snapshot.path):
            snapshot.path.unlink(missing_ok=True)
    return gone


def delete(node: NodeConfig, name: str) -> None:
    """Deletes one. Raises MissingError when there is none of this name."""
    path = folder_of(node) / check_name(name)
    if not any(snapshot.path == path for snapshot in listed(folder_of(node))):
        raise MissingError("no such snapshot", where=path)
    with os_errors(path):
        path.unlink()


def check_snapshot(path: Path) -> int:
    """Reads all of a snapshot -> the database's size in bytes.

    Raises MissingError, FormatError for bytes that are not those of its hash, and for what is no database. A file that
    ends without a hash (a copy of etcd's own) is only looked into.
    """
    with os_errors(path):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise MissingError("no such snapshot", where=path) from None
    with file, os_errors(path):
        size = os.fstat(file.fileno()).st_size
        if size % _ALIGNED == HASH:
            size -= HASH
            digest = hashlib.sha256()
            left = size
            while left and (piece := file.read(min(_PIECE, left))):
                digest.update(piece)
                left -= len(piece)
            want = file.read(HASH)
            if want != digest.digest():
                raise FormatError("a damaged snapshot", where=path, got=digest.hexdigest(), want=want.hex())
        Database(file.fileno(), path)
    return size
