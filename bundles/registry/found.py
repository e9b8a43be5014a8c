"""A bundle in a registry before its content comes: its index, and the signatures that refer to it."""

from collections.abc import Iterator
from dataclasses import dataclass

from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, MissingError
from bundles.index import INDEX_NAME, BundleIndex
from bundles.platform import Platform
from bundles.registry import artifact
from bundles.registry.documents import TITLE, Document, RemoteDescriptor, choose, read_index, read_manifest
from bundles.registry.memory import in_memory
from bundles.registry.place import Place, Repository
from bundles.registry.protocol import Registry
from bundles.registry.session import no_check
from bundles.signing import blob, envelope, names


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The bundle in the registry: its documents, nothing of its content yet.

    `signatures`: layers of its own manifest, where it is a node that serves it; elsewhere they are referrers.
    """

    repository: Repository
    digest: Digest
    data: bytes
    document: BundleIndex
    signatures: tuple[RemoteDescriptor, ...] = ()


def find(registry: Registry, place: Place, platform: Platform | None = None) -> Found:
    """What lies at a place, where there are several the bundle of a platform.

    Raises FormatError for what is no bundle, or not of the platform that it is listed for; MissingError for none.
    """
    given = registry.manifest(place.repository, place.reference, no_check)
    top = _of_platform(registry, place.repository, given, platform, where=place)
    own = top
    if top.is_index:
        listed = artifact.own_manifest(read_index(top, where=place), where=place)
        own = registry.manifest(place.repository, str(listed.digest), no_check)
    manifest = read_manifest(own, where=place)
    layer = artifact.index_layer(manifest, where=place)
    data = in_memory(registry, place.repository, layer.digest, layer.size)
    document = index.decode(data, where=f"{place}: {INDEX_NAME}")
    artifact.check_paths(document, where=f"{place}: {INDEX_NAME}")
    if top is not given and document.platform != str(platform):
        raise FormatError(
            "listed for another platform than it is for", where=place, got=document.platform, want=platform
        )
    signatures = artifact.signature_layers(manifest)
    return Found(repository=place.repository, digest=top.digest, data=data, document=document, signatures=signatures)


def _of_platform(
    registry: Registry, repository: Repository, top: Document, platform: Platform | None, *, where: object
) -> Document:
    """What lies under a tag -> the one bundle's index that is meant; the same where it is no index of several.

    Raises MissingError where the platform is not there, or none was named.
    """
    if not top.is_index:
        return top
    listed = read_index(top, where=where)
    if listed.artifact_type != artifact.BUNDLES:
        return top
    if platform is None:
        raise MissingError("bundles of several platforms: which?", where=where, hint="name one: --platform linux/arm64")
    return registry.manifest(repository, str(choose(listed.manifests, platform, where=where).digest), no_check)


def signatures_of(registry: Registry, found: Found) -> dict[str, bytes]:
    """The files that signing added, out of the referrers of what lies under the tag; of two of a name the last."""
    signed: dict[str, bytes] = {}
    for where, layer in _signature_layers(registry, found):
        name = layer.annotations.get(TITLE, "")
        limit = envelope.MAX_MESSAGE if names.is_index_signature(name) else envelope.MAX_STATEMENT
        limit = limit if names.is_envelope(name) else blob.MAX_SIG
        if not names.is_signature(name) or layer.size > limit:
            raise FormatError("not a bundle's signature", where=where, got=f"{name[:100]!a}, {layer.size} bytes")
        signed[name] = in_memory(registry, found.repository, layer.digest, layer.size)
        if len(signed) > names.MAX_SIGNATURES:
            raise LimitError("too many signatures", where=where, want=f"<= {names.MAX_SIGNATURES}")
    return signed


def _signature_layers(registry: Registry, found: Found) -> Iterator[tuple[str, RemoteDescriptor]]:
    for layer in found.signatures:
        yield f"{found.repository}: {layer.digest}", layer
    for one in registry.referrers(found.repository, found.digest, no_check):
        if one.artifact_type == artifact.SIGNATURE:
            where = f"{found.repository}: {one.digest}"
            document = registry.manifest(found.repository, str(one.digest), no_check)
            for layer in read_manifest(document, where=where).layers[:1]:
                yield where, layer
