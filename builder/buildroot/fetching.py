"""The packages of a build root on their way into the store: one call of apt for all that is missing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builder.buildroot.cross import foreign_architectures, machine_of
from builder.buildroot.model import package_of
from builder.lock.model import LockedInput
from builder.sources.apt import AptClient
from builder.sources.verified import Verified
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedRoot:
    """All packages of the lock's build root, as one source."""

    client: AptClient
    verified: Verified
    packages: tuple[LockedInput, ...]

    @property
    def name(self) -> str:
        """As progress tells it."""
        return f"build root ({len(self.packages)} packages)"

    @property
    def _want(self) -> str:
        return str(Digest.of(" ".join(str(file.digest) for each in self.packages for file in each.files).encode()))

    def present(self) -> bool:
        """Whether they were fetched, verified, and look untouched."""
        return self.verified.holds(f"build root {self._want}", self._want)

    def fetch(self) -> None:
        """Brings them into the store; raises MissingError, StepError, and FormatError for other bytes."""
        store = self.client.store
        missing = [each for each in self.packages if not all(_whole(store, file.digest) for file in each.files)]
        if missing:
            names = ["=".join(package_of(each)) for each in missing]
            with store.temp_folder("deb") as folder:
                self.client.download_all(names, folder)
                _keep(store, folder, missing)
        paths = sorted({store.path(file.digest) for each in self.packages for file in each.files})
        self.verified.note(f"build root {self._want}", self._want, paths)


def root_client(client: AptClient, packages: Sequence[LockedInput]) -> AptClient:
    """apt for a lock's build root, which may have packages of several architectures."""
    machine = machine_of(packages) or client.architecture
    names = (package_of(each)[0] for each in packages)
    return replace(client, architecture=machine, foreign=foreign_architectures(names, machine))


def _whole(store: Store, digest: Digest) -> bool:
    """Whether the content is in the store; a damaged blob is removed."""
    if not store.has(digest):
        return False
    try:
        store.read(digest)
    except FormatError:
        store.path(digest).unlink(missing_ok=True)
        return False
    return True


def _keep(store: Store, folder: Path, missing: list[LockedInput]) -> None:
    """What apt brought, by what it is: the names that it gives are its own."""
    wanted = {file.digest: each.source for each in missing for file in each.files}
    brought: dict[Digest, str] = {}
    for path in sorted(folder.glob("*.deb")):
        output = store.put_file(path)
        brought[output.digest] = path.name
        if output.digest not in wanted:
            store.path(output.digest).unlink(missing_ok=True)
    if lacking := {digest: source for digest, source in wanted.items() if digest not in brought}:
        hint = "the archive serves other bytes than were locked: find out why before you trust them"
        digest, source = next(iter(lacking.items()))
        raise FormatError("not what was locked", where=source, want=digest, hint=hint)
