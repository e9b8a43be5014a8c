"""Container images of which a component takes files: pinned blob by blob, fetched by digest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from builder.lock.model import LockedFile, LockedInput
from builder.mirror.blobs import bring_blob
from builder.mirror.remote import repository_of, resolve_image
from builder.process import Cancel
from builder.reach import Reach
from builder.recipe.fetched import ImageFilesComponent
from builder.recipe.taken import MirrorImage
from builder.sources.verified import Verified
from builder.store import Store
from bundles.errors import FormatError, MissingError
from bundles.platform import Platform
from bundles.reference import Reference
from bundles.talk import SilentProgress

IMAGE_SOURCE: Final = "image:"
_MANIFEST: Final = "manifest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """How images are reached; `env` is our environment."""

    store: Store
    reach: Reach
    env: Mapping[str, str] = field(repr=False)
    cancel: Cancel

    def lock(self, component: ImageFilesComponent, platform: Platform) -> LockedInput:
        """What the image is today for a platform -> `image:NAME#PLATFORM` and all its blobs.

        Raises what builder.mirror.remote.resolve_image raises.
        """
        named = MirrorImage(name=component.name, source=component.reference, reference=component.reference)
        with self.reach.opened(self.env) as registry:
            found = resolve_image(registry, named, platform, self.store.put, self.cancel.check)
        blobs = {_MANIFEST: found.manifest, "config": found.config}
        blobs |= {f"layer-{number}": layer for number, layer in enumerate(found.layers, 1)}
        return LockedInput(
            component=component.name,
            source=source_of(component, platform),
            files=tuple(LockedFile(name=name, size=blob.size, digest=blob.digest) for name, blob in blobs.items()),
        )

    def wanted(self, locked: LockedInput, *, offline: bool) -> "WantedImage":
        """A locked image."""
        return WantedImage(images=self, name=locked.source, files=locked.files, offline=offline)


def source_of(component: ImageFilesComponent, platform: Platform) -> str:
    """Where from, in the lock's words."""
    return f"{IMAGE_SOURCE}{component.reference.name}#{platform}"


def reference_of(source: str) -> Reference:
    """`image:NAME#PLATFORM` -> the image."""
    return Reference.parse(source.removeprefix(IMAGE_SOURCE).partition("#")[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedImage:
    """A locked image: its manifest, configuration and layers."""

    images: Images
    name: str
    files: tuple[LockedFile, ...]
    offline: bool

    @property
    def _want(self) -> str:
        return " ".join(str(file.digest) for file in self.files)

    def present(self) -> bool:
        """Whether all was fetched, verified, and looks untouched."""
        return Verified(self.images.store).holds(self.name, self._want)

    def fetch(self) -> None:
        """Brings what is missing; raises what the registry client raises, MissingError when offline."""
        store, cancel = self.images.store, self.images.cancel
        missing = [file for file in self.files if not store.has(file.digest, file.size)]
        if missing and self.offline:
            raise MissingError("not in the store", where=self.name)
        if missing:
            repository = repository_of(reference_of(self.name))
            with self.images.reach.opened(self.images.env) as registry:
                for file in missing:
                    if file.name == _MANIFEST:
                        data = registry.manifest(repository, str(file.digest), cancel.check).data
                        if len(data) != file.size:
                            raise FormatError("another size than the lock says", where=self.name, got=len(data))
                        store.put(data)
                    else:
                        bring_blob(registry, repository, file.digest, file.size, store, cancel.check, SilentProgress())
        Verified(store).note(self.name, self._want, [store.path(file.digest) for file in self.files])
