"""What documents say of files that somebody published: where they are from, and what the programs among them carry."""

from collections.abc import Iterator, Mapping
from typing import Any

from builder.describe import parts, purl
from builder.describe.model import Kind, Part
from builder.lock.imagesources import LockedImageSource
from builder.lock.model import LockedInput
from builder.recipe.fetched import last_part
from bundles.reference import Reference


def source(locked: LockedInput, version: str, licence: str, architecture: str) -> Part:
    """A locked `url:` or `image:` input as a part."""
    kind, _, rest = locked.source.partition(":")
    digest = locked.files[0].digest
    if kind == "image":
        reference = Reference.parse(rest.partition("#")[0])
        name, url = f"{reference.domain}/{reference.repository}", purl.image(reference, digest, architecture)
    else:
        name, url = last_part(rest), purl.download(last_part(rest), version, digest, rest)
    notes = (("signed-by", locked.signed.hex),) if locked.signed is not None else ()
    return Part(
        key=f"source:{locked.source}",
        kind=Kind.SOURCE,
        name=name,
        version=version,
        purl=url,
        licence=licence,
        sha256=digest,
        notes=notes,
    )


def carried(program: Mapping[str, Any]) -> Iterator[Part]:
    """The Go modules that the linker wrote into a program, and Go's own packages; nothing for other programs."""
    go: Mapping[str, Any] = program.get("go", {})
    if not go:
        return
    yield parts.standard_library(go["version"])
    path, _, version = str(go["main"]).partition("@")
    if path:
        yield parts.module(path, version)
    for each in go["modules"]:
        yield parts.module(
            each["path"], each.get("version", ""), h1=each.get("h1", ""), replaces=each.get("replaced", "")
        )


def image_parts(locked: LockedImageSource) -> Iterator[Part]:
    """The archive or the Containerfile's folder that an image is made of, and the images that this is built on."""
    yield Part(
        key=f"source:{locked.source}",
        kind=Kind.SOURCE,
        name=locked.source.partition(":")[2],
        sha256=locked.digest if locked.source.startswith("archive:") else None,
    )
    for base in locked.bases:
        reference = Reference.parse(base.reference)
        name = f"{reference.domain}/{reference.repository}"
        yield Part(
            key=f"source:image:{base.reference}@{base.digest}",
            kind=Kind.SOURCE,
            name=name,
            version=reference.tag or "",
            purl=purl.image(reference, base.digest, ""),
            sha256=base.digest,
        )


def image_source(locked: LockedImageSource) -> Iterator[dict[str, Any]]:
    """An archive or a Containerfile's folder, and what that is built on."""
    kind = "sealiftTree" if locked.source.startswith("engine:") else "sha256"
    yield {"name": locked.source, "digest": {kind: locked.digest.hex}}
    for base in locked.bases:
        yield {"name": f"image:{base.reference}", "digest": {"sha256": base.digest.hex}}


def dependency(locked: LockedInput, architecture: str) -> dict[str, Any]:
    """A locked `url:` or `image:` input as a resource of the provenance (in-toto, ResourceDescriptor)."""
    kind, _, rest = locked.source.partition(":")
    digest = locked.files[0].digest
    uri = rest if kind == "url" else purl.image(Reference.parse(rest.partition("#")[0]), digest, architecture)
    said: dict[str, Any] = {"name": locked.source, "uri": uri, "digest": {"sha256": digest.hex}}
    return said | ({"annotations": {"signedBy": locked.signed.hex}} if locked.signed is not None else {})
