"""What a build needs of mirrored images, into the store: their documents before its steps, layers before archives."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from builder.lock.images import LockedImage
from builder.lock.imagetext import MIRROR
from builder.lock.model import Lock
from builder.mirror.blobs import bring_blob
from builder.mirror.remote import bring_documents, missing_documents, repositories, source_of
from builder.mirror.stored import StoredLayer
from builder.process import Cancel
from builder.reach import Reach
from builder.store import Store
from bundles.crew import Crew, Seat
from bundles.errors import MissingError
from bundles.registry.wire import Check
from bundles.talk import Progress, SilentProgress

if TYPE_CHECKING:
    from builder.build import BuildOptions

WORKERS: Final = 8  # as many as a registry client has connections to one host


@dataclass(frozen=True, kw_only=True, slots=True)
class Bringer:
    """`images`: the lock's. `env` is ours, `progress` is told of bytes, `say` of a line; `clock` in seconds."""

    images: Sequence[LockedImage]
    store: Store
    reach: Reach
    env: Mapping[str, str] = field(repr=False)
    offline: bool = False
    progress: Progress = field(default_factory=SilentProgress)
    say: Callable[[str], None] = lambda _: None
    cancel: Cancel = field(default_factory=Cancel)
    clock: Callable[[], float] = time.monotonic

    def documents(self, names: Iterable[str]) -> tuple[str, ...]:
        """Brings those of the images called so in the recipe; returns the sources of which something was missing.

        Raises MissingError that names all when `offline`, and what the registry client raises.
        """
        wanted = {*names}
        missing = [
            each
            for each in self.images
            if each.image in wanted and each.source.startswith(MIRROR) and missing_documents(each, self.store)
        ]
        if not missing:
            return ()
        self.refuse_offline([source_of(each).name for each in missing])
        self.say(f"fetching manifests and configurations of {len(missing)} images")
        with self.reach.opened(self.env) as registry:

            def one(each: LockedImage, seat: Seat) -> None:
                bring_documents(registry, each, self.store, self.checking(seat))

            Crew(one, lambda _: 1).all(missing, WORKERS)
        return tuple(each.source for each in missing)

    def layers(self, wanted: Iterable[StoredLayer]) -> tuple[StoredLayer, ...]:
        """Brings layers, each once; returns those that were missing. Raises as `documents`."""
        missing = [
            layer
            for layer in {each.digest: each for each in wanted}.values()
            if not self.store.has(layer.digest, layer.size)
        ]
        if not missing:
            return ()
        self.refuse_offline([str(layer.digest) for layer in missing])
        places = repositories(self.images)
        for layer in missing:
            if layer.digest not in places:
                raise MissingError("not in the store, and no registry has it", where=layer.digest)
        self.progress.begin(f"fetching {len(missing)} layers", sum(layer.size for layer in missing))
        with self.reach.opened(self.env) as registry:

            def one(layer: StoredLayer, seat: Seat) -> None:
                place, check = places[layer.digest], self.checking(seat)
                bring_blob(registry, place, layer.digest, layer.size, self.store, check, self.progress)

            Crew(one, lambda layer: layer.size).all(missing, WORKERS)
        self.progress.end()
        return tuple(missing)

    def checking(self, seat: Seat) -> Check:
        """Raises when there is no use in going on."""

        def check() -> None:
            seat.go_on()
            self.cancel.check()

        return check

    def refuse_offline(self, names: Sequence[str]) -> None:
        """Raises MissingError that names what is missing when nothing may be asked."""
        if self.offline:
            rows = "".join(f"\n    {name}" for name in names[:20]) + ("\n    ..." if len(names) > 20 else "")
            raise MissingError(
                "not everything is in the store, and this build is offline",
                got=f"missing:{rows}",
                hint="run it once without --offline, or bring a store that has them (SEALIFT_STORE)",
            )


def bringer(lock: Lock, options: "BuildOptions") -> Bringer:
    """For a build."""
    return Bringer(
        images=lock.images,
        store=options.store,
        reach=options.reach,
        env=options.env,
        offline=options.offline,
        progress=options.talk.bytes,
        say=options.talk.say,
        cancel=options.cancel,
        clock=options.clock,
    )


def all_layers(images: Iterable[LockedImage]) -> list[StoredLayer]:
    """The layers of locked images."""
    return [StoredLayer(digest=layer.digest, size=layer.size) for each in images for layer in each.layers]
