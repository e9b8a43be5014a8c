"""What a lock pins of images that are taken over as they are. Values; their text is `imagetext`."""

from collections.abc import Iterable
from dataclasses import dataclass

from bundles.digest import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedBlob:
    """A blob: size in bytes, digest; `type` is the media type of a manifest or index, "" for other content."""

    size: int
    digest: Digest
    type: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedEvidence:
    """A signature, attestation or SBOM that lies beside an image: the manifest, and the blobs that it names.

    `tag` is that under which it lies (cosign's `sha256-HEX.sig`), "" for a referrer of `subject`.
    """

    subject: Digest
    manifest: LockedBlob
    blobs: tuple[LockedBlob, ...]
    tag: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedImage:
    """One image of images.yaml: `image` is its key, `source` says where it comes from (`mirror:NAME`).

    `manifest` is the platform's; `index` the index that the source named, where it named one; layers lowest first.
    """

    image: str
    source: str
    platform: str
    manifest: LockedBlob
    config: LockedBlob
    layers: tuple[LockedBlob, ...]
    index: LockedBlob | None = None
    evidence: tuple[LockedEvidence, ...] = ()

    @property
    def documents(self) -> tuple[LockedBlob, ...]:
        """Index, manifest and config: small, and needed before anything can be laid out."""
        return (*([self.index] if self.index else []), self.manifest, self.config)

    @property
    def blobs(self) -> tuple[LockedBlob, ...]:
        """Documents, layers, and what lies beside the image."""
        beside = (blob for one in self.evidence for blob in (one.manifest, *one.blobs))
        return (*self.documents, *self.layers, *beside)

    @property
    def signed(self) -> tuple[Digest, ...]:
        """What a signature of this image can be of: the index, the manifest."""
        return (*([self.index.digest] if self.index else []), self.manifest.digest)

    @property
    def size(self) -> int:
        """Bytes of its layers; one that it has twice counts once."""
        return total(self.layers)


def total(blobs: Iterable[LockedBlob]) -> int:
    """Bytes of blobs, each once."""
    return sum({blob.digest: blob.size for blob in blobs}.values())
