"""Manifests and indexes as registries have them, read strictly. Pure.

A document's kind is what the registry says and what the document says, and both must agree: a manifest that one reader
takes for an index would be two images (OCI image-spec, "mediaType"; CVE-2021-41190).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError
from bundles.platform import Platform

MAX_MANIFEST: Final = 4 << 20  # bytes (distribution-spec, "Pushing Manifests")
ACCEPT: Final = ", ".join((*oci.MANIFESTS, *oci.INDEXES))
EMPTY: Final = "application/vnd.oci.empty.v1+json"
EMPTY_DATA: Final = b"{}"
TITLE: Final = "org.opencontainers.image.title"
_OLD: Final = re.compile(r"application/vnd\.docker\.distribution\.manifest\.v1\+(json|prettyjws)")
_FOREIGN: Final = re.compile(
    r"application/vnd\.(docker\.image\.rootfs\.foreign\.|oci\.image\.layer\.nondistributable\.)"
)


class RemoteDescriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A descriptor with the fields that only registries use: size in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: dict[str, str] = {}
    artifact_type: str = ""
    platform: oci.PlatformDocument | None = None
    urls: list[str] = []


EMPTY_CONFIG: Final = RemoteDescriptor(media_type=EMPTY, digest=Digest.of(EMPTY_DATA), size=len(EMPTY_DATA))


class RemoteManifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An image manifest, which may be an artifact's or a referrer's."""

    schema_version: int
    config: RemoteDescriptor
    layers: list[RemoteDescriptor]
    media_type: str = ""
    artifact_type: str = ""
    subject: RemoteDescriptor | None = None
    annotations: dict[str, str] = {}


class RemoteIndex(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An index, a manifest list, or a list of referrers."""

    schema_version: int
    manifests: list[RemoteDescriptor]
    media_type: str = ""
    artifact_type: str = ""
    annotations: dict[str, str] = {}


class _Kind(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    media_type: str = ""
    schema_version: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A manifest or an index: its exact bytes, its digest (of these bytes), its media type."""

    data: bytes
    digest: Digest
    media_type: str

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests."""
        return self.media_type in oci.INDEXES

    def descriptor(self, **more: object) -> RemoteDescriptor:
        """A descriptor of it; `more` are further fields."""
        plain = RemoteDescriptor(media_type=self.media_type, digest=self.digest, size=len(self.data))
        return msgspec.structs.replace(plain, **more)


def read_document(data: bytes, content_type: str | None, *, where: object) -> Document:
    """The bytes and the Content-Type they came with -> Document; raises FormatError when they do not agree."""
    told = (content_type or "").partition(";")[0].strip().lower()
    inside = jsontext.decode(data, _Kind, where=where, max_size=MAX_MANIFEST)
    kind = inside.media_type or told
    if _OLD.fullmatch(kind) or inside.schema_version == 1:
        hint = "push the image again with a tool of this decade"
        raise FormatError("an image manifest of schema version 1, which names no content", where=where, hint=hint)
    if kind not in (*oci.MANIFESTS, *oci.INDEXES):
        raise FormatError("neither a manifest nor an index", where=where, got=ascii(kind[:100]))
    if told and told != kind:
        raise FormatError("the registry calls it something else than it is", where=where, got=ascii(told), want=kind)
    return Document(data=data, digest=Digest.of(data), media_type=kind)


def read_manifest(document: Document, *, where: object) -> RemoteManifest:
    """Document -> manifest; raises FormatError for an index, negative sizes, and layers that lie somewhere else."""
    if document.is_index:
        raise FormatError("an index where a manifest must be", where=where)
    manifest = jsontext.decode(document.data, RemoteManifest, where=where, max_size=MAX_MANIFEST)
    for one in (manifest.config, *manifest.layers):
        if one.size < 0:
            raise FormatError("a negative size", where=where, got=one.size)
        if one.urls or _FOREIGN.match(one.media_type):
            hint = "such an image (mostly Windows) cannot be carried across a gap: ask its maker for one that can"
            raise FormatError(
                "a foreign layer: it lies at a URL of its own and not in the registry", where=where,
                got=f"{one.digest} ({one.media_type!a})", hint=hint,
            )  # fmt: skip
    return manifest


def read_index(document: Document, *, where: object) -> RemoteIndex:
    """Document -> index; raises FormatError for a manifest and negative sizes."""
    if not document.is_index:
        raise FormatError("a manifest where an index must be", where=where)
    index = jsontext.decode(document.data, RemoteIndex, where=where, max_size=MAX_MANIFEST)
    if any(one.size < 0 for one in index.manifests):
        raise FormatError("a negative size", where=where)
    return index


def choose(manifests: Sequence[RemoteDescriptor], platform: Platform, *, where: object) -> RemoteDescriptor:
    """The manifest for a platform: the exact one, else the one that says no variant, else arm64's usual v8.

    Raises MissingError that lists what there is.
    """
    usual = "v8" if platform.architecture == "arm64" else ""
    for variant in dict.fromkeys((platform.variant, "", usual)):
        for one in manifests:
            have = one.platform
            if have and (have.os, have.architecture, have.variant) == (platform.os, platform.architecture, variant):
                return one
    told = sorted({f"{p.os}/{p.architecture}" + (f"/{p.variant}" if p.variant else "") for p in _platforms(manifests)})
    raise MissingError("no image for this platform", where=where, got=ascii(", ".join(told)[:300]), want=platform)


def _platforms(manifests: Sequence[RemoteDescriptor]) -> list[oci.PlatformDocument]:
    return [one.platform for one in manifests if one.platform is not None]
