"""etcd's data out of the way, never deleted: k3s keeps etcd-old-SECONDS beside it."""

import os
from pathlib import Path

from bundles.errors import SealiftError
from bundles.files import fsync_directory, os_errors
from runtime.nodepaths import NodePaths


def set_aside(paths: NodePaths, now: int) -> Path | None:
    """Renames server/db/etcd to etcd-old-NOW (Unix seconds); None when there is none.

    Raises SealiftError when the name is taken.
    """
    if not paths.etcd.exists():
        return None
    target = paths.etcd.with_name(f"{paths.etcd.name}-old-{now}")
    if target.exists():
        raise SealiftError("the name for the data of before is taken", where=target, hint="try again in a second")
    with os_errors(target):
        os.rename(paths.etcd, target)
        fsync_directory(target.parent)
    return target
