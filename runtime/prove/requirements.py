"""What a proof needs of the host, and the environment that programs of its machine get."""

import os
import shutil
from collections.abc import Mapping
from typing import Final

from bundles.errors import MissingError, SealiftError
from runtime.prove.mounts import TEMPORARY

# Program -> the Debian package that has it.
PROGRAMS: Final = {
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What programs in the machine get: no proxy, no socket of the host, nothing that points into a home."""
    kept = {name: environment[name] for name in ("PYTHONPATH",) if name in environment}
    path = environment.get("PATH") or _PATH
    return {"PATH": path, "HOME": str(TEMPORARY), "TMPDIR": str(TEMPORARY), "LC_ALL": "C.UTF-8", **kept}


def refuse_unable(path: str) -> None:
    """Raises SealiftError for users who are not root, MissingError that names every program not on `path`."""
    if os.geteuid() != 0:
        raise SealiftError("only root can make namespaces with control groups and mounts", hint="run it with sudo")
    missing = {name: package for name, package in PROGRAMS.items() if shutil.which(name, path=path) is None}
    if missing:
        hint = f"install {', '.join(sorted(set(missing.values())))}"
        raise MissingError(f"programs that a proof needs: {', '.join(sorted(missing))}", hint=hint)
