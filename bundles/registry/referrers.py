"""What is said about a manifest, beside it in the registry: signatures, SBOMs, provenance (image-spec 1.1 `subject`).

Registries of version 1.1 list referrers themselves; for older ones the list lies under a tag, and we keep it.
"""

from collections.abc import Sequence
from typing import Final

from bundles import jsontext, oci
from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.registry.documents import EMPTY_CONFIG, Document, RemoteDescriptor, RemoteIndex, RemoteManifest
from bundles.registry.place import Repository
from bundles.registry.protocol import Registry
from bundles.registry.wire import Check
from bundles.signing.images import referrers_tag

_TRIES: Final = 5


def referrer(subject: RemoteDescriptor, kind: str, layers: Sequence[RemoteDescriptor]) -> Document:
    """The manifest that says something of this `kind` about the subject; its layers are in the registry already."""
    plain = RemoteDescriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size)
    manifest = RemoteManifest(
        schema_version=2,
        media_type=oci.MANIFEST,
        artifact_type=kind,
        config=EMPTY_CONFIG,
        layers=list(layers),
        subject=plain,
    )
    data = jsontext.encode_canonical(manifest)
    return Document(data=data, digest=Digest.of(data), media_type=oci.MANIFEST)


def attach(
    registry: Registry, repository: Repository, subject: RemoteDescriptor, made: Sequence[tuple[str, Document]],
    check: Check,
) -> int:  # fmt: skip
    """Puts referrers (kind, manifest) of one subject, those that are missing; returns how many were."""
    listed = {one.digest for one in registry.referrers(repository, subject.digest, check)}
    missing = [(kind, document) for kind, document in made if document.digest not in listed]
    unlisted = [
        document.descriptor(artifact_type=kind)
        for kind, document in missing
        if not registry.push_manifest(repository, str(document.digest), document, check)
    ]
    if unlisted:
        _list_by_tag(registry, repository, subject.digest, unlisted, check)
    return len(missing)


def _list_by_tag(
    registry: Registry, repository: Repository, digest: Digest, new: Sequence[RemoteDescriptor], check: Check
) -> None:
    """Adds to the index under the tag. Two who do that at once: the last wins, so look again, and add again."""
    for _ in range(_TRIES):
        listed = registry.referrers(repository, digest, check)
        missing = [one for one in new if one.digest not in {other.digest for other in listed}]
        if not missing:
            return
        index = RemoteIndex(schema_version=2, media_type=oci.INDEX, manifests=[*listed, *missing])
        data = jsontext.encode_canonical(index)
        document = Document(data=data, digest=Digest.of(data), media_type=oci.INDEX)
        registry.push_manifest(repository, referrers_tag(digest), document, check)
    raise SealiftError(
        "the registry does not keep the list of referrers", where=f"{repository}: {referrers_tag(digest)}"
    )
