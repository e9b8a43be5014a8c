"""A cluster that begins anew with one server: from what is in its etcd, or from a snapshot.

RKE2's --cluster-reset and --cluster-reset-restore-path. Nothing that was there is deleted: etcd's folder goes aside.
The two change names in one step, so that a crash at any point leaves the old cluster or the new one, never none.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bundles.errors import MissingError, SealiftError, UsageError
from bundles.files import fsync_directory, os_errors
from runtime.configs.etcd import first_member, member_name
from runtime.entropy import Entropy
from runtime.etcd import sharedkeys
from runtime.etcd.aside import put_in_place
from runtime.etcd.bolt import Database, make_new
from runtime.etcd.membership import encoded_membership, ensure_member_name, has_data, known_membership, write_membership
from runtime.etcd.snapshots import check_snapshot, folder_of
from runtime.folders import SECRET_MODE, ensure_folder, remove
from runtime.joining.bootstrap import keep_agent_secret, read_bootstrap, take_over
from runtime.nodeconf.model import NodeConfig
from runtime.nodefiles import SECRET_FILE, read_file, settle
from runtime.supervisor.token import SERVER_USER, parse
from runtime.tokens import configured

_NAME_OCTETS: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Restored:
    """What a reset did: `aside` is where the data of before is, `keys` how many files of the cluster were written."""

    aside: Path | None
    keys: int = 0


def check_reset(node: NodeConfig, snapshot: Path | None) -> int:
    """What must hold before anything is stopped; returns the database's size in bytes (0 without a snapshot).

    Raises UsageError for a server that is configured to join another, MissingError for data or a snapshot that is not
    there, FormatError for a damaged one.
    """
    if node.server_url is not None:
        hint = "take `server` out of the configuration first: this machine becomes the first server"
        raise UsageError("a cluster is not reset on a server that joins another one", got=node.server_url, hint=hint)
    if snapshot is None:
        if not has_data(node.paths):
            raise MissingError("no data of etcd to begin anew with", where=node.paths.etcd)
        return 0
    size = check_snapshot(snapshot)
    free = shutil.disk_usage(_existing(node.paths.etcd)).free
    if free < size + (64 << 20):
        raise SealiftError("not enough room for the database", where=node.paths.etcd, got=free, want=f"> {size} bytes")
    return size


def find_snapshot(node: NodeConfig, typed: str) -> Path:
    """A path, or the name of one of this server's own."""
    path = Path(typed)
    return path if path.is_absolute() or path.exists() else folder_of(node) / typed


def force(node: NodeConfig, entropy: Entropy) -> Restored:
    """The next start makes this server the only member of its own data."""
    name = ensure_member_name(node, entropy)
    membership = known_membership(node, name) or first_member(node, name)
    write_membership(node.paths, replace(membership, force=True))
    return Restored(aside=None)


def restore(
    node: NodeConfig, snapshot: Path, size: int, *, now: int, entropy: Entropy, say: Callable[[str], None]
) -> Restored:
    """Puts a snapshot in the place of etcd's data, as that of a cluster of this server alone.

    Args:
        node: the server.
        snapshot: checked.
        size: of its database, bytes.
        now: Unix seconds.
        entropy: for the member's name.
        say: takes a line of talk.

    Raises TrustError for a token that does not open the cluster's keys in the snapshot, SealiftError where a new
    machine has none.
    """
    paths = node.paths
    ensure_folder(paths.server, SECRET_MODE)
    ensure_folder(paths.etcd.parent, SECRET_MODE)
    folder = paths.etcd.with_name(f"{paths.etcd.name}-new-{now}")
    if folder.exists():
        raise SealiftError("the name for the new data is taken", where=folder, hint="try again in a second")
    ensure_folder(folder, SECRET_MODE)
    try:
        database = _place(folder, snapshot, size)
        keys = _keys(node, database, now, say)
        with os_errors(database):
            fd = os.open(database, os.O_RDWR | os.O_CLOEXEC)
            try:
                make_new(Database(fd, database))
                os.fsync(fd)
            finally:
                os.close(fd)
        name = member_name(node.node_name, entropy.octets(_NAME_OCTETS))
        settle(folder / paths.etcd_name.name, name.encode())
        membership = first_member(node, name, token=f"reset-{now}")
        settle(folder / paths.etcd_membership.name, encoded_membership(membership))
        fsync_directory(folder)
    except BaseException:
        remove(folder)
        raise
    return Restored(aside=put_in_place(paths, folder, now), keys=keys)


def _place(folder: Path, snapshot: Path, size: int) -> Path:
    target = folder / "member" / "snap" / "db"
    ensure_folder(target.parent.parent, SECRET_MODE)
    ensure_folder(target.parent, SECRET_MODE)
    with os_errors(target), snapshot.open("rb") as source, target.open("xb") as file:
        os.fchmod(file.fileno(), SECRET_FILE)
        left = size
        while left and (piece := source.read(min(1 << 20, left))):
            file.write(piece)
            left -= len(piece)
        file.flush()
        os.fsync(file.fileno())
    return target


def _keys(node: NodeConfig, database: Path, now: int, say: Callable[[str], None]) -> int:
    """The cluster's keys from inside the snapshot, where this machine has none."""
    paths = node.paths
    own = read_file(paths.server_token)
    given = configured(node.token, default_user=SERVER_USER)
    if given is None and own is not None:
        given = parse(own.decode(), default_user=SERVER_USER, where=paths.server_token)
    has_keys = (paths.tls / "server-ca.key").exists()
    if given is None:
        raise SealiftError("a new machine needs the cluster's token", hint="give --token or set token: server/token")
    with database.open("rb") as file:
        sealed = sharedkeys.find(Database(file.fileno(), database), given.secret)
    if sealed is None:
        if has_keys:
            say("warning: the snapshot has no keys of the cluster for this token; those of this machine stay")
            return 0
        hint = "was it taken on a server of Sealift's, and is this the token it had then?"
        raise SealiftError("the snapshot has no keys of the cluster for this token", where=database, hint=hint)
    inheritance = read_bootstrap(sharedkeys.unseal(given.secret, sealed), where="the snapshot")
    keep_agent_secret(node, inheritance)
    return take_over(paths, inheritance, now=now)


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
