"""Files from URLs: recorded when locked, kept as blobs when fetched.

A download has a name of its own below the store until all of it has the locked digest: a build that was ended goes on
where it was.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from builder.lock.model import LockedFile, LockedInput
from builder.process import Cancel
from builder.reach import Reach
from builder.recipe.fetched import Witness, last_part
from builder.recipe.urlkind import URL_SOURCE
from builder.sources.deb import whole
from builder.sources.urlclient import MAX_FILE, UrlClient, url_client
from builder.sources.verified import Verified
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.files import make_folders, os_errors

if TYPE_CHECKING:
    from bundles.signing.keys import PublicKey

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_%-]{0,199}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """A file of today, in the store."""

    digest: Digest
    size: int


def lock_url(
    client: UrlClient, store: Store, component: str, url: str, witness: Witness, key: "PublicKey | None"
) -> LockedInput:
    """Fetches what is at the URL today -> `url:URL` with its size and digest, once the witnesses say the same.

    `key` is the witness's, read. Raises what fetching raises; TrustError for a signature that does not hold;
    FormatError for another sha256 than a witness says.
    """
    found = fetch_today(client, store, url)
    from builder.sources.witness import check_witness  # it checks signatures: few locks do

    check_witness(client, store, url, witness, key, found.digest, found.size)
    name = last_part(url) if _NAME.fullmatch(last_part(url)) else "file"
    return LockedInput(
        component=component,
        source=f"{URL_SOURCE}{url}",
        files=(LockedFile(name=name, size=found.size, digest=found.digest),),
        signed=key.id if key is not None else None,
    )


def fetch_today(client: UrlClient, store: Store, url: str, limit: int = MAX_FILE) -> Fetched:
    """Whatever is at the URL, at most `limit` bytes, into the store."""
    with _partial(store, url) as (file, path):
        with os_errors(path):
            file.truncate(0)
        digest, size = client.fetch(url, file, limit=limit)
        store.adopt(file, path, digest)
    return Fetched(digest=digest, size=size)


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedUrl:
    """A locked file at a URL."""

    name: str
    url: str
    client: UrlClient
    verified: Verified
    store: Store
    file: LockedFile
    offline: bool = False

    def present(self) -> bool:
        """Whether it was fetched, verified, and looks untouched."""
        return self.verified.holds(self.name, str(self.file.digest))

    def fetch(self) -> None:
        """Brings it into the store; raises FormatError for other bytes, and what UrlClient.fetch raises."""
        if not whole(self.store, self.file):
            if self.offline:
                raise MissingError("not in the store", where=self.name)
            with _partial(self.store, f"{self.url} {self.file.digest}") as (file, path):
                self._arrive(file, path)
        self.verified.note(self.name, str(self.file.digest), [self.store.path(self.file.digest)])

    def _arrive(self, file: BinaryIO, path: Path) -> None:
        begun = os.fstat(file.fileno()).st_size > 0
        found, _ = self.client.fetch(self.url, file, self.file.size, self.file.size)
        if found != self.file.digest and begun:  # what was left there was of something else
            with os_errors(path):
                file.seek(0)
                file.truncate()
            found, _ = self.client.fetch(self.url, file, self.file.size, self.file.size)
        if found != self.file.digest:
            with contextlib.suppress(OSError):
                path.unlink()
            hint = "another file lies there than was locked: find out why before you trust it"
            raise FormatError("not what was locked", where=self.name, got=found, want=self.file.digest, hint=hint)
        self.store.adopt(file, path, self.file.digest)


def wanted_url(
    locked: LockedInput, store: Store, reach: Reach, env: Mapping[str, str], cancel: Cancel, *, offline: bool
) -> WantedUrl:
    """A locked `url:` input."""
    return WantedUrl(
        name=locked.source,
        url=locked.source.removeprefix(URL_SOURCE),
        client=url_client(reach, env, cancel),
        verified=Verified(store),
        store=store,
        file=locked.files[0],
        offline=offline,
    )


@contextlib.contextmanager
def _partial(store: Store, key: str) -> Iterator[tuple[BinaryIO, Path]]:
    """The unfinished file of a download, open and ours alone; it stays when the block ends with an error."""
    folder = store.sources / "partial"
    make_folders(folder)
    path = folder / Digest.of(key.encode()).hex
    while True:
        with os_errors(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "r+b") as file:
            with os_errors(path):
                fcntl.flock(fd, fcntl.LOCK_EX)  # another process may be at it: what it finishes is found afterwards
                if not os.fstat(fd).st_nlink or not path.exists() or os.stat(path).st_ino != os.fstat(fd).st_ino:
                    continue
            yield file, path
            return
