"""Source folders on their way into a step: a private copy, the same on every machine, checked against the lock.

The copy is checked, not the original: what changes beside the recipe afterwards is not seen by the build.
"""

import os
import shutil
from pathlib import Path

from builder.errors import StepError
from builder.tree import folder_digest, folder_files
from bundles.digest import Digest
from bundles.files import os_errors


def copy_locked(source: Path, target: Path, want: Digest | None, epoch: int) -> Path:
    """A folder beside the recipe -> its copy, which is what the lock says, else a StepError."""
    # Only what counts in the digest is copied: no links, no owners, one of two modes.
    with os_errors(source):
        for file in folder_files(source):
            copy = target / file.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read())
            copy.chmod(file.mode)
    got = folder_digest(target)
    if want is not None and got != want:
        hint = "run `sealift lock` if the change is meant"
        raise StepError("the folder changed since it was locked", where=source, got=got, want=want, hint=hint)
    settle(target, epoch)
    return target


def copy_module(source: Path, target: Path, epoch: int) -> Path:
    """A module's unpacked folder (its hash was checked when it was fetched) -> a writable copy."""
    if not source.is_dir():
        raise StepError("not fetched", where=source, hint="run the build again, without --offline")
    with os_errors(source):
        shutil.copytree(source, target, symlinks=True, copy_function=_copy)
    settle(target, epoch)
    return target


def settle(folder: Path, epoch: int) -> None:
    """One time for every file and folder, and one mode for folders: commands see them, and some programs keep them.

    The mode of a folder would else be the umask of whoever builds.
    """
    with os_errors(folder):
        for path, _, names in os.walk(folder):
            os.chmod(path, 0o755)
            for name in (*names, "."):
                os.utime(os.path.join(path, name), (epoch, epoch), follow_symlinks=False)


def _copy(source: str, target: str) -> str:
    """Content and executability; module files are read-only, sources of a build must be writable."""
    shutil.copyfile(source, target)
    os.chmod(target, 0o755 if os.stat(source).st_mode & 0o100 else 0o644)
    return target
