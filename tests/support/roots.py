"""A real build root for tests: Debian packages that apt finds today, kept with their lock beside the tests' tools."""

import fcntl
import functools
import os
import platform
from dataclasses import replace
from pathlib import Path, PurePosixPath

from builder.buildroot.fetching import WantedRoot
from builder.buildroot.locking import lock_buildroot
from builder.buildroot.model import closure
from builder.buildroot.unpack import ensure_root
from builder.lock.model import Lock, LockedInput
from builder.lock.text import format_lock, parse_lock
from builder.recipe.model import CompileComponent, Recipe
from builder.sources.apt import AptClient
from builder.sources.verified import Verified
from builder.store import Store
from bundles.errors import SealiftError
from bundles.files import write_atomic
from tests.support.gotools import store_root
from tests.support.stepping import a_lock, a_recipe

NEEDS = ("libfaketime", "libseccomp-dev")


@functools.cache
def suite() -> str:
    """The Debian release of this machine."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def _recipe() -> Recipe:
    """One that needs all that the tests need."""
    source, output = "deb-source:x=1", {"x": PurePosixPath("x")}
    component = CompileComponent(name="x", source=source, version="1", run=("x",), output=output, needs=NEEDS)
    return replace(a_recipe(Path("/nowhere"), component), buildroot=suite())


@functools.cache
def packages() -> tuple[LockedInput, ...]:
    """The build root's packages, in the store; resolved anew when the noted ones cannot be had any more."""
    store = Store(store_root())
    note = store.root / "test-tools" / f"buildroot-{suite()}.yaml"
    note.parent.mkdir(parents=True, exist_ok=True)
    client = AptClient(store=store, host_env=os.environ, architecture="amd64")
    with (note.parent / ".buildroot.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        try:
            return _fetched(client, parse_lock(note.read_bytes()))
        except (OSError, SealiftError):
            lock = replace(a_lock(), buildroot=lock_buildroot(client, _recipe(), (), print))
            found = _fetched(client, lock)
            write_atomic(note, format_lock(lock).encode())
            return found


def _fetched(client: AptClient, lock: Lock) -> tuple[LockedInput, ...]:
    wanted = WantedRoot(client=client, verified=Verified(client.store), packages=lock.buildroot)
    if not wanted.present():
        wanted.fetch()
    return lock.buildroot


@functools.cache
def root(*needs: str) -> Path:
    """The folder of the root for these needs, in the store."""
    return ensure_root(Store(store_root()), closure(packages(), needs))
