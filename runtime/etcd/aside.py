"""etcd's data out of the way, never deleted: k3s keeps etcd-old-SECONDS beside it."""

import os
from pathlib import Path

from bundles.errors import SealiftError
from bundles.exchange import exchange
from bundles.files import fsync_directory, os_errors
from runtime.nodepaths import NodePaths


def set_aside(paths: NodePaths, now: int) -> Path | None:
    """Renames server/db/etcd to etcd-old-NOW (Unix seconds); None when there is none.

    Raises SealiftError when the name is taken.
    """
    if not paths.etcd.exists():
        return None
    target = _old(paths, now)
    with os_errors(target):
        os.rename(paths.etcd, target)
        fsync_directory(target.parent)
    return target


def put_in_place(paths: NodePaths, new: Path, now: int) -> Path | None:
    """Gives the folder `new` the name server/db/etcd; returns where the one of before is, None when there was none.

    In one step: a moment without data would be one in which a start makes an empty cluster.
    """
    if not paths.etcd.exists():
        with os_errors(paths.etcd):
            os.rename(new, paths.etcd)
            fsync_directory(paths.etcd.parent)
        return None
    target = _old(paths, now)
    with os_errors(paths.etcd):
        if exchange(new, paths.etcd):
            os.rename(new, target)
        else:  # a filesystem that cannot: two steps
            os.rename(paths.etcd, target)
            os.rename(new, paths.etcd)
        fsync_directory(paths.etcd.parent)
    return target


def _old(paths: NodePaths, now: int) -> Path:
    target = paths.etcd.with_name(f"{paths.etcd.name}-old-{now}")
    if target.exists():
        raise SealiftError("the name for the data of before is taken", where=target, hint="try again in a second")
    return target
