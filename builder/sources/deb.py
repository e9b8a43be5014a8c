"""Debian source and binary packages: resolved to files with sha256 when locked, kept as blobs when fetched."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.lock.model import LockedFile, LockedInput
from builder.sources.apt import AptClient
from builder.sources.aptlists import is_library
from builder.sources.verified import Verified
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError

SOURCE_PREFIX: Final = "deb-source:"
BINARY_PREFIX: Final = "deb:"


def lock_package(client: AptClient, component: str, package: str, *, source: bool) -> LockedInput:
    """`NAME=VERSION` -> `deb[-source]:SUITE/NAME=VERSION` and its files, from signed lists; raises MissingError."""
    client.ensure_lists()
    try:
        found = client.find(package, source=source)
    except MissingError:
        client.update()
        found = client.find(package, source=source)
    prefix = SOURCE_PREFIX if source else BINARY_PREFIX
    return LockedInput(component=component, source=f"{prefix}{found.suite}/{package}", files=found.files)


def lock_userland(client: AptClient, component: str, packages: Sequence[str]) -> tuple[LockedInput, ...]:
    """Packages as `NAME=VERSION` -> an entry for each, and for each of the libraries that apt would install with them.

    Raises MissingError for what no signed list has, StepError when apt cannot bring them together.
    """
    named = [lock_package(client, component, package, source=False) for package in packages]
    libraries = [package for package in client.together(packages) if is_library(package) and package not in packages]
    return (*named, *(lock_package(client, component, package, source=False) for package in libraries))


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedPackage:
    """A locked `deb:` or `deb-source:` input."""

    name: str
    client: AptClient
    verified: Verified
    files: tuple[LockedFile, ...]

    @property
    def _want(self) -> str:
        return " ".join(str(file.digest) for file in self.files)

    def present(self) -> bool:
        """Whether its files were fetched, verified, and look untouched."""
        return self.verified.holds(self.name, self._want)

    def fetch(self) -> None:
        """Brings its files into the store; raises MissingError, StepError, and FormatError for other bytes."""
        store = self.client.store
        if not all(whole(store, file) for file in self.files):
            with store.temp_folder("deb") as folder:
                source = self.name.startswith(SOURCE_PREFIX)
                self.client.download(self.name.rpartition("/")[2], folder, source=source)
                for file in self.files:
                    _keep(store, _downloaded(folder, file), file, self.name)
        self.verified.note(self.name, self._want, [store.path(file.digest) for file in self.files])


def whole(store: Store, file: LockedFile) -> bool:
    """Whether the content is in the store; a damaged blob is removed."""
    if not store.has(file.digest, file.size):
        return False
    with open(store.path(file.digest), "rb") as blob:
        found = Digest(hashlib.file_digest(blob, "sha256").hexdigest())
    if found != file.digest:
        store.path(file.digest).unlink()
    return found == file.digest


def _downloaded(folder: Path, file: LockedFile) -> Path:
    """The file that apt brought; it writes binary packages with their epoch, which pools leave out of names."""
    path = folder / file.name
    others = list(folder.glob("*.deb"))
    if not path.is_file() and file.name.endswith(".deb") and len(others) == 1:
        path = others[0]
    if not path.is_file():
        raise MissingError(f"apt did not bring {file.name}", where=folder)
    return path


def _keep(store: Store, path: Path, file: LockedFile, name: str) -> None:
    output = store.put_file(path)
    if output.digest != file.digest:
        store.path(output.digest).unlink(missing_ok=True)
        hint = "the archive serves other bytes than were locked: find out why before you trust them"
        raise FormatError(
            f"{file.name} is not what was locked", where=name, got=output.digest, want=file.digest, hint=hint
        )
