"""The bundle of a server comes to a machine that has none: one copy feeds a site.

First what decides: bundle.json, its signatures, signed statements. They pass the gate of the node before gigabytes are
fetched, and the whole bundle passes it again, as a staged one does. What was fetched before a cut stays; it lies in
DATA/sealift/pulled, under the digest of the server's manifest, so that nothing of two bundles is ever mixed.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError, SealiftError, TrustError
from bundles.files import fsync_directory, os_errors
from bundles.platform import Platform
from bundles.source import open_source
from bundles.talk import Progress, human_bytes
from runtime import admitted
from runtime.folders import SECRET_MODE, ensure_folder, remove
from runtime.joining.artifact import Artifact, RemoteFile, check_listed, read_artifact
from runtime.joining.registry import Registry
from runtime.joining.supervisor import NotYetError
from runtime.layout import NodeLayout
from runtime.offer import read_offer
from runtime.stage import StageReport, stage
from runtime.trusting.gate import Gate

_MARGIN: Final = 64 << 20  # bytes that stay free
_TRIES: Final = 5  # attempts in a row that bring nothing
_FILE_MODE: Final = 0o600


@dataclass(frozen=True, kw_only=True, slots=True)
class Pull:
    """What a pull works with.

    Args:
        registry: where the bundle is.
        manifest: what the server says it consists of.
        layout: the data directory.
        gate: decides, as for `stage`.
        platform: this machine's.
        progress: told of bytes fetched, then of bytes checked.
        say: takes one line of talk at a time.
        sleep: waits for that many seconds.
    """

    registry: Registry
    manifest: bytes
    layout: NodeLayout
    gate: Gate
    platform: Platform
    progress: Progress
    say: Callable[[str], None]
    sleep: Callable[[float], None]

    def run(self) -> StageReport:
        """Fetches, checks, admits.

        Raises TrustError when the bundle is refused, FormatError when it is damaged or the server says one thing and
        sends another, NotYetError when it stops answering: then the next run goes on where this one ended.
        """
        artifact = read_artifact(self.manifest, where=self.registry.url)
        room = self._room(Digest.of(self.manifest))
        try:
            self._fetch(artifact.small, room)
            self._decide(artifact, room)
            self._refuse_full(artifact, room)
            self._fetch(artifact.large, room)
            if admitted.read(self.layout.admitted) is not None:
                raise SealiftError("a bundle was staged meanwhile: that one stays", where=self.layout.data)
            report = stage(
                room / "bundle",
                self.layout,
                self.gate.trust,
                platform=self.platform,
                now=self.gate.now,
                progress=self.progress,
                say=self.say,
                gate=self.gate,
                take=True,
            )
        except (FormatError, TrustError):
            remove(room)  # nothing of a bad bundle is worth keeping
            raise
        remove(self.layout.pulled)
        return report

    def _room(self, digest: Digest) -> Path:
        """The folder of this manifest; what was begun of others goes."""
        place = self.layout.pulled
        ensure_folder(place, SECRET_MODE)
        room = place / digest.hex
        with os_errors(place):
            for path in place.iterdir():
                if path.is_dir() and path != room:
                    remove(path)
        for folder in (room, room / "bundle", room / "parts"):
            ensure_folder(folder, SECRET_MODE)
        return room

    def _decide(self, artifact: Artifact, room: Path) -> None:
        """All that can be known of the bundle before it is here."""
        offer = read_offer(room / "bundle", self.gate.trust)
        if offer.index.platform != str(self.platform):
            raise FormatError(
                "the bundle is for another platform",
                where=self.registry.url,
                got=offer.index.platform,
                want=self.platform,
                hint="stage a bundle for this machine",
            )
        with open_source(room / "bundle") as source:
            verdict = self.gate.trust.examine(offer.index, offer.decision, source, now=self.gate.time)
        self.gate.decide(offer.index, verdict, self.registry.url)
        check_listed(artifact, offer.index, where=self.registry.url)
        self.say(f"fetching {offer.name}: {human_bytes(artifact.size)} from {self.registry.url}")

    def _refuse_full(self, artifact: Artifact, room: Path) -> None:
        with os_errors(room):
            free = shutil.disk_usage(room).free
            there = sum(path.stat().st_size for path in room.rglob("*") if path.is_file())
        want = artifact.size - there + _MARGIN
        if want > free:
            got = f"{human_bytes(free)} free"
            raise SealiftError("not enough space", where=self.layout.ours, got=got, want=human_bytes(want))

    def _fetch(self, files: tuple[RemoteFile, ...], room: Path) -> None:
        for file in files:
            target = room / "bundle" / file.path
            if not target.exists():
                self._fetch_one(file, target, room / "parts" / file.digest.hex)

    def _fetch_one(self, file: RemoteFile, target: Path, part: Path) -> None:
        """Until the file is whole; a server that brings nothing several times in a row is given up."""
        fruitless = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                digest = self._go_on(file, part)
                break
            except NotYetError as exc:
                came = part.exists() and part.stat().st_size > before
                fruitless = 0 if came else fruitless + 1
                if fruitless >= _TRIES:
                    raise
                self.say(f"{file.path}: {exc.message}; asking again")
                self.sleep(min(10.0, 0.5 * 2**fruitless))
        self.progress.end()
        if digest != file.digest:
            remove(part)
            raise FormatError(
                "the server sent other bytes than it said", where=f"{self.registry.url}: {file.path}",
                got=digest, want=file.digest, hint="the server's copy is damaged: run `sealift-node verify` there",
            )  # fmt: skip
        ensure_folder(target.parent, SECRET_MODE)
        with os_errors(target):
            os.rename(part, target)
            fsync_directory(target.parent)

    def _go_on(self, file: RemoteFile, part: Path) -> Digest:
        """The rest of a file, durable at the end -> the digest of all of it. What is there already is read again."""
        with os_errors(part):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(part, flags, _FILE_MODE)
        with contextlib.closing(os.fdopen(fd, "r+b", buffering=0)) as handle, os_errors(part):
            found, size = hashlib.sha256(), 0
            while data := handle.read(1 << 20):
                found.update(data)
                size += len(data)
            if size > file.size:
                handle.truncate(0)
                handle.seek(0)
                found, size = hashlib.sha256(), 0
            self.progress.begin(f"fetching {file.path}", file.size)
            self.progress.advance(size)
            for piece in self.registry.pieces(file.digest, file.size, size) if size < file.size else ():
                view = memoryview(piece)
                while view:
                    view = view[handle.write(view) :]
                found.update(piece)
                self.progress.advance(len(piece))
            os.fsync(handle.fileno())
        return Digest(found.hexdigest())
