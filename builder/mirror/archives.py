"""Archives that hold layers of somebody else: filled once in the store, and linked to where they are wanted."""

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from builder.assemble import ArchivePlan
from builder.delivered import layout_identity
from builder.mirror.bring import Bringer
from builder.mirror.fill import Sources, archive_plan, fill
from builder.mirror.kept import KeptArchive, KeptArchives
from builder.mirror.remote import repositories
from builder.mirror.stored import StoredLayer
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import MissingError, SealiftError
from bundles.files import os_errors
from bundles.registry.parts import missing_bytes
from bundles.registry.protocol import Registry
from bundles.sealed.report import LayerReport
from bundles.sealed.write import WrittenArchive
from bundles.talk import human_bytes


class TakenArchives:
    """Makes the archives of a build that hold layers which the store has not as blobs of their own."""

    def __init__(self, bringer: Bringer) -> None:
        """`bringer` knows the lock's images and the way to registries."""
        self._bringer = bringer
        self._kept = KeptArchives(bringer.store)
        self._made: list[KeptArchive] = []
        self.arrived: frozenset[str] = frozenset()  # paths of those that were made: each byte was hashed as it came
        self.verified: frozenset[str] = frozenset()  # of those that were read in full before, and not touched since

    def make(self, plan: ArchivePlan, folder: Path, store: Store) -> WrittenArchive | None:
        """Puts the archive into `folder`; None for one that can be written from the blobs of `store` alone.

        Raises MissingError that names what is missing offline; what the registry client raises; SealiftError for a
        full disk. What has arrived stays: the next build goes on from there.
        """
        taken = stored_layers(plan)
        if all(store.has(layer.digest, layer.size) for layer in taken):
            return None
        identity = layout_identity(plan.layout)
        with self._bringer.store.lock(f"archive-{identity.hex[:24]}", exclusive=True):
            kept = self._kept.find(identity) or self._fill(plan, identity, store)
        self._made.append(kept)
        self.arrived |= {plan.path}
        if {layer.digest for layer in taken} <= kept.layers.keys():
            self.verified |= {plan.path}
        _place(kept.path, folder / plan.path)
        return WrittenArchive(size=kept.size, sha256=kept.sha256)

    def layers(self) -> dict[Digest, LayerReport]:
        """What full readings of kept archives found in layers."""
        return {digest: report for archive in self._kept.all() for digest, report in archive.layers.items()}

    def learn(self, reports: dict[Digest, LayerReport]) -> None:
        """Notes what a full reading found in the archives that were made."""
        for archive in self._made:
            self._kept.learn(archive, reports)

    def _fill(self, plan: ArchivePlan, identity: Digest, store: Store) -> KeptArchive:
        made = archive_plan(plan.layout, self._kept.path(identity))
        sources = Sources(
            store=store,
            parts={layer.digest: layer.parts for image in plan.images for layer in image.layers if layer.parts},
            places=self._kept.places(),
            remote=repositories(self._bringer.images),
            ask=None,
        )
        missing = [piece.digest for piece in made.pieces if not sources.local(piece.digest, piece.size)]
        self._refuse(missing, sources)
        _check_room(made.target.parent, missing_bytes(made))
        with self._asking() as ask:
            bringer = self._bringer
            filled = fill(made, sources.asking(ask), bringer.progress, bringer.cancel.check, bringer.clock)
        bringer.say(f"  {plan.path}: waited {filled.waited:.2f} s for the disk")
        return self._kept.add(identity, plan.layout, filled.sha256)

    def _refuse(self, missing: list[Digest], sources: Sources) -> None:
        """Nothing is begun that cannot be ended."""
        if missing:
            self._bringer.refuse_offline([str(digest) for digest in missing])
        for digest in missing:
            if digest not in sources.remote:
                raise MissingError("not in the store, and no registry has it", where=digest)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Callable[[], Registry] | None]:
        """Gives the client, opened when somebody asks: for what is missing, or turns out to be damaged."""
        if self._bringer.offline:
            yield None
            return
        with contextlib.ExitStack() as stack:
            lock, opened = threading.Lock(), list[Registry]()

            def ask() -> Registry:
                with lock:
                    if not opened:
                        opened.append(stack.enter_context(self._bringer.reach.opened(self._bringer.env)))
                    return opened[0]

            yield ask


def stored_layers(plan: ArchivePlan) -> list[StoredLayer]:
    """The layers of an archive that were made elsewhere. Pure."""
    return [layer for image in plan.images for layer in image.layers if isinstance(layer, StoredLayer)]


def _place(source: Path, target: Path) -> None:
    """A hard link; a copy where the two are on different filesystems."""
    with os_errors(target):
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
            target.chmod(0o644)


def _check_room(folder: Path, needed: int) -> None:
    """A disk that is too small is found out before hours of fetching."""
    with os_errors(folder):
        free = shutil.disk_usage(folder).free
    if needed > free:
        raise SealiftError(
            "not enough room for the archive", where=folder, got=f"{human_bytes(free)} free", want=human_bytes(needed)
        )
